/* What a run's own samples before training are called. */
const BASE = "base";

function runName({ number }) {
  return `run ${number}`;
}

/* A run: the summary of what there is of it, and its samples. Of several runs, each has a number and
   a title, and a part of the folders. */
class Run {
  static async read(number = null, title = null) {
    const part = number === null ? "" : `${number}/`;
    return new Run(await load(`${part}summary`), part, number, title);
  }

  constructor(summary, part, number, title) {
    Object.assign(this, summary);
    Object.assign(this, { part, number, title });
    const [width, height] = this.size ?? [1, 1];
    this.aspect = height / width;
    this.isSmall = this.size !== null && Math.max(width, height) <= 128;
    this.sets = new Map();
  }

  has(iteration) {
    return this.iterations.some((each) => each.iteration === iteration);
  }

  heading(iteration) {
    return this.iterations.find((each) => each.iteration === iteration).heading;
  }

  /* Where it stands beside other runs. */
  titleOf(iteration) {
    const heading = this.heading(iteration);
    return this.title === null ? heading : `${this.title}, ${heading}`;
  }

  get newest() {
    return this.iterations.at(-1).iteration;
  }

  get hasBase() {
    return this.has(0);
  }

  async sampleSet(iteration) {
    if (!this.sets.has(iteration)) {
      const data = load(`${this.part}${setName(iteration)}`);
      this.sets.set(iteration, data.then((found) => new SampleSet(this.part, found)));
    }
    return this.sets.get(iteration);
  }

  /* The base's samples, where they have one of this prompt and number that is not this one. */
  async baseOf(set, at) {
    if (!this.hasBase || set.iteration === 0) return null;
    const base = await this.sampleSet(0);
    const isPair = base.has(at, set.promptOf(at)) && base.isText(at) === set.isText(at);
    return isPair ? base : null;
  }
}

/* What a run's own samples before training are called. */
const BASE = "base";

function runName({ number }) {
  return `run ${number}`;
}

/* A run: the summary of what there is of it, and its samples. Of several runs, each has a number and
   a title, and a part of the folders. */
class Run {
  static async read(number, title) {
    const part = `${number}/`;
    return new Run(await load(`${part}summary`), part, number, title);
  }

  constructor(summary, part = "", number = null, title = null) {
    Object.assign(this, { part, number, title, sets: new Map() });
    this.take(summary);
  }

  /* What there is of it now. */
  take(summary) {
    Object.assign(this, summary);
    const [width, height] = this.size ?? [1, 1];
    this.aspect = height / width;
    this.isSmall = this.size !== null && Math.max(width, height) <= 128;
  }

  has(iteration) {
    return this.iterations.some((each) => each.iteration === iteration);
  }

  heading(iteration) {
    const found = this.iterations.find((each) => each.iteration === iteration);
    return found ? found.heading : `iteration ${number(iteration, 0)}`;
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
    const name = `${this.part}${setName(iteration)}`;
    return once(this.sets, iteration, async () => new SampleSet(this.part, await load(name)));
  }

  /* The base's samples, where they have one of this prompt and number that is not this one. */
  async baseOf(set, at) {
    if (!this.hasBase || set.iteration === 0) return null;
    const base = await this.sampleSet(0);
    const isPair = base.has(at, set.promptOf(at)) && base.isText(at) === set.isText(at);
    return isPair ? base : null;
  }
}

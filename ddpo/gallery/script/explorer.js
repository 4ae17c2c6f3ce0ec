/* Every sample of an iteration: chosen, sorted and searched; the histogram of their rewards. */

const SHOWN = [
  ["best", "best first"],
  ["worst", "worst first"],
  ["random", "at random"],
  ["number", "in order"],
];
const MOST_PROMPTS = 200;
const REM = parseFloat(getComputedStyle(document.documentElement).fontSize);

class Explorer {
  constructor(summary, lightbox, place) {
    this.summary = summary;
    this.lightbox = lightbox;
    this.place = place;
    this.numbers = [];
    place.hidden = false;
    whenNear(place, () => reporting(place, this.start()));
  }

  async start() {
    const newest = this.summary.iterations.at(-1).iteration;
    this.controls = this.made(newest);
    this.found = element("output", { class: "muted" });
    this.histogram = element("div", { class: "histogram" });
    this.wall = new Wall({
      label: `${this.summary.several} of the iteration`,
      measure: this.summary.size ? this.pictureSizes() : this.textSizes(),
      draw: (index) => this.card(this.numbers[index]),
      open: (index) => this.open(index),
    });
    const form = element("form", { class: "controls" }, ...this.fields());
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", ({ target }) =>
      reporting(form, this.update(target === this.controls.iteration)),
    );
    this.place.append(form, this.histogram, this.found, this.wall.box);
    await this.update(true);
  }

  made(newest) {
    const { iterations, measures } = this.summary;
    const made = {
      iteration: choice(iterations.map((each) => [each.iteration, each.heading])),
      order: choice(SHOWN),
      column: choice(measures.map((measure, column) => [column, measure.name])),
      prompt: element("select"),
      promptHas: element("input", { type: "search" }),
      textHas: element("input", { type: "search" }),
    };
    made.iteration.value = newest;
    return made;
  }

  fields() {
    const { iteration, order, column, prompt, promptHas, textHas } = this.controls;
    this.promptField = labelled("Prompt", prompt);
    const fields = [
      labelled("Iteration", iteration),
      labelled("Show", order),
      labelled("by", column),
      this.promptField,
      labelled("Prompt has", promptHas),
    ];
    if (!this.summary.size) fields.push(labelled("Completion has", textHas));
    return fields;
  }

  pictureSizes() {
    const caption = 3.9 * REM;
    return {
      width: (room) => Math.min(10 * REM, (room - 16) / 2),
      height: (width) => Math.round(width * this.summary.aspect + caption),
    };
  }

  textSizes() {
    return { width: () => 20 * REM, height: () => 15 * REM };
  }

  async update(isOther) {
    const iteration = Number(this.controls.iteration.value);
    const set = await sampleSet(iteration);
    const base = this.summary.hasBase && iteration !== 0 ? await sampleSet(0) : null;
    if (iteration !== Number(this.controls.iteration.value)) return;
    this.set = set;
    if (isOther) this.offerPrompts();
    this.numbers = ordered(set, this.wanted());
    const all = counted(set.count, this.summary.counted);
    this.found.textContent = `${number(this.numbers.length, 0)} of ${all}`;
    this.wall.show(this.numbers.length);
    this.drawHistogram(set, base);
  }

  wanted() {
    const { order, column, prompt, promptHas, textHas } = this.controls;
    return {
      order: order.value,
      column: Number(column.value),
      prompt: prompt.value === "" ? null : this.set.prompts[Number(prompt.value)][0],
      promptHas: promptHas.value,
      textHas: textHas.value,
    };
  }

  /* The prompts of this iteration to choose from; many are found by what they say alone. */
  offerPrompts() {
    const { prompts } = this.set;
    const chosen = this.controls.prompt.value;
    const options = prompts.map(([text], index) => [index, shorten(text, 80) || "(empty prompt)"]);
    this.promptField.hidden = prompts.length > MOST_PROMPTS;
    const offered = this.promptField.hidden ? [] : options;
    this.controls.prompt.replaceChildren(...choice([["", "all"], ...offered]).children);
    this.controls.prompt.value = Number(chosen) < offered.length ? chosen : "";
  }

  drawHistogram(set, base) {
    const column = Number(this.controls.column.value);
    const measure = this.summary.measures[column];
    if (!measure) return;
    const heading = this.summary.heading(set.iteration);
    const values = base === null ? null : base.values[column];
    this.histogram.replaceChildren(histogram(measure, heading, set.values[column], values));
  }

  card(at) {
    const column = Number(this.controls.column.value);
    const measure = this.summary.measures[column];
    const prompt = this.set.promptOf(at);
    const value = measure ? number(this.set.values[column][at], measure.decimals) : "";
    const passed = testsPassed(this.set.resultsOf(at));
    return [
      miniature(this.summary, this.set, at, ""),
      element("span", { class: `value ${measure?.section}` }, value, passed),
      promptText(shorten(prompt, MOST_SHOWN), "caption"),
    ];
  }

  open(index) {
    const { iteration } = this.set;
    const list = { count: this.numbers.length, at: (at) => [iteration, this.numbers[at]] };
    this.lightbox.open(list, index, (last) => this.wall.focus(last));
  }
}

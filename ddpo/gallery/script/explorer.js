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
    this.controls = this.made();
    this.offer();
    this.controls.iteration.value = this.summary.iterations.at(-1).iteration;
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

  made() {
    return {
      iteration: element("select"),
      order: choice(SHOWN),
      column: element("select"),
      prompt: element("select"),
      promptHas: element("input", { type: "search" }),
      textHas: element("input", { type: "search" }),
    };
  }

  /* The iterations and measures to choose from. */
  offer() {
    const { iterations, measures } = this.summary;
    const headings = iterations.map((each) => [each.iteration, each.heading]);
    refill(this.controls.iteration, headings);
    refill(this.controls.column, measures.map((measure, column) => [column, measure.name]));
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
    const base = await this.baseOf(iteration);
    if (iteration !== Number(this.controls.iteration.value)) return;
    this.set = set;
    if (isOther) this.offerPrompts();
    this.find(base);
    this.wall.show(this.numbers.length);
  }

  /* Which samples are wanted, and how they stand to all others. */
  find(base) {
    this.numbers = ordered(this.set, this.wanted());
    const all = counted(this.set.count, this.summary.counted);
    this.found.textContent = `${number(this.numbers.length, 0)} of ${all}`;
    this.drawHistogram(this.set, base);
  }

  async baseOf(iteration) {
    return this.summary.hasBase && iteration !== 0 ? sampleSet(0) : null;
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
    const options = prompts.map(([text], index) => [index, shorten(text, 80) || "(empty prompt)"]);
    this.promptField.hidden = prompts.length > MOST_PROMPTS;
    const offered = this.promptField.hidden ? [] : options;
    refill(this.controls.prompt, [["", "all"], ...offered]);
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
    return [
      miniature(this.summary, this.set, at, ""),
      element("span", { class: `value ${measure?.section}` }, value),
      promptText(shorten(prompt, MOST_SHOWN), "caption"),
    ];
  }

  open(index) {
    const { iteration } = this.set;
    const list = { count: this.numbers.length, at: (at) => [iteration, this.numbers[at]] };
    this.lightbox.open(list, index, (last) => this.wall.focus(last));
  }
}

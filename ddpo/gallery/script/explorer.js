/* Every sample of an iteration of a run: chosen, sorted and searched; the histogram of their rewards. */

const SHOWN = [
  ["best", "best first"],
  ["worst", "worst first"],
  ["random", "at random"],
  ["number", "in order"],
];
const MOST_PROMPTS = 200;
const REM = parseFloat(getComputedStyle(document.documentElement).fontSize);

class Explorer {
  constructor(runs, lightbox, place) {
    this.runs = runs;
    this.run = runs[0];
    this.lightbox = lightbox;
    this.place = place;
    this.numbers = [];
    place.hidden = false;
    whenNear(place, () => reporting(place, this.start()));
  }

  async start() {
    this.controls = this.made();
    this.offer();
    this.newest();
    this.found = element("output", { class: "muted" });
    this.histogram = element("div", { class: "histogram" });
    this.wall = new Wall({
      label: `${this.run.several} of the iteration`,
      measure: this.run.size ? this.pictureSizes() : this.textSizes(),
      draw: (index) => this.card(this.numbers[index]),
      open: (index) => this.open(index),
    });
    const form = element("form", { class: "controls" }, ...this.fields());
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", ({ target }) => reporting(form, this.changed(target)));
    this.place.append(form, this.histogram, this.found, this.wall.box);
    await this.update(true);
  }

  made() {
    return {
      run: choice(this.runs.map(({ title }, index) => [index, title])),
      iteration: element("select"),
      order: choice(SHOWN),
      column: element("select"),
      prompt: element("select"),
      promptHas: element("input", { type: "search" }),
      textHas: element("input", { type: "search" }),
    };
  }

  /* The run's iterations and measures to choose from; another run, or a later state of it, may have
     others. */
  offer() {
    const { iterations, measures } = this.run;
    refill(this.controls.iteration, iterations.map((each) => [each.iteration, each.heading]));
    refill(this.controls.column, measures.map((measure, at) => [at, measure.name]));
  }

  newest() {
    this.controls.iteration.value = this.run.newest;
  }

  changed(control) {
    const { run, iteration } = this.controls;
    if (control === run) {
      this.run = this.runs[Number(run.value)];
      this.offer();
      this.newest();
    }
    return this.update(control === run || control === iteration);
  }

  fields() {
    const { run, iteration, order, column, prompt, promptHas, textHas } = this.controls;
    this.promptField = labelled("Prompt", prompt);
    const fields = [
      labelled("Iteration", iteration),
      labelled("Show", order),
      labelled("by", column),
      this.promptField,
      labelled("Prompt has", promptHas),
    ];
    if (this.runs.length > 1) fields.unshift(labelled("Run", run));
    if (!this.run.size) fields.push(labelled("Completion has", textHas));
    return fields;
  }

  pictureSizes() {
    const caption = 3.9 * REM;
    return {
      width: (room) => Math.min(10 * REM, (room - 16) / 2),
      height: (width) => Math.round(width * this.run.aspect + caption),
    };
  }

  textSizes() {
    return { width: () => 20 * REM, height: () => 15 * REM };
  }

  async update(isOther) {
    const { run } = this;
    const iteration = Number(this.controls.iteration.value);
    const set = await run.sampleSet(iteration);
    const base = await this.baseOf(iteration);
    if (run !== this.run || iteration !== Number(this.controls.iteration.value)) return;
    this.set = set;
    if (isOther) this.offerPrompts();
    this.find(base);
    this.wall.show(this.numbers.length);
  }

  /* Which samples are wanted, and how they stand to all others. */
  find(base) {
    this.numbers = ordered(this.set, this.wanted());
    const all = counted(this.set.count, this.run.counted);
    this.found.textContent = `${number(this.numbers.length, 0)} of ${all}`;
    this.drawHistogram(this.set, base);
  }

  async baseOf(iteration) {
    return this.run.hasBase && iteration !== 0 ? this.run.sampleSet(0) : null;
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
    const measure = this.run.measures[column];
    this.histogram.replaceChildren();
    if (!measure) return;
    const heading = this.run.heading(set.iteration);
    const values = base === null ? null : base.values[column];
    this.histogram.append(histogram(measure, heading, set.values[column], values));
  }

  card(at) {
    const column = Number(this.controls.column.value);
    const measure = this.run.measures[column];
    const prompt = this.set.promptOf(at);
    const value = measure ? number(this.set.values[column][at], measure.decimals) : "";
    const passed = testsPassed(this.set.resultsOf(at));
    return [
      miniature(this.sample(at), ""),
      element("span", { class: `value ${measure?.section}` }, value, passed),
      promptText(shorten(prompt, MOST_SHOWN), "caption"),
    ];
  }

  sample(at) {
    return { run: this.run, set: this.set, at };
  }

  open(index) {
    const list = { count: this.numbers.length, at: (at) => this.sample(this.numbers[at]) };
    this.lightbox.open(list, index, (last) => this.wall.focus(last));
  }
}

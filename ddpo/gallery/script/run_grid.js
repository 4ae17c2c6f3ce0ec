/* The grid of several runs: the base, then each run at its newest iteration or at one that is
   chosen. */
class RunGrid {
  constructor(runs, { rows, prompts, baseOnce }, lightbox, place) {
    this.runs = runs;
    this.rows = rows;
    this.baseOnce = baseOnce;
    const found = {
      count: rows.length,
      promptOf: (row) => prompts[rows[row][0]][0],
      referenceOf: (row) => prompts[rows[row][0]][1],
    };
    const grid = { name: "Samples by run", columns: this.columns(null), prompts: found };
    this.grid = new Rows(grid, lightbox, place);
    place.before(this.control(place));
  }

  control(place) {
    const iterations = new Set(this.runs.flatMap((run) => run.iterations.map((each) => each.iteration)));
    const offered = [...iterations].filter((each) => each !== 0).sort((a, b) => a - b);
    const control = choice([
      ["", "newest of each"],
      ...offered.map((each) => [each, `iteration ${number(each, 0)}`]),
    ]);
    control.addEventListener("change", () => {
      const chosen = control.value === "" ? null : Number(control.value);
      reporting(place, this.grid.show(this.columns(chosen)));
    });
    const made = labelled("Runs at", control);
    made.className = "runs-at";
    return made;
  }

  /* At an iteration, or at the newest of each run where that is null. */
  columns(iteration) {
    const columns = this.runs.map((run, index) => this.column(run, iteration ?? run.newest, index));
    const base = this.runs.map((run, index) => (run.hasBase ? this.column(run, 0, index) : null));
    if (this.baseOnce) return [new FirstOf(BASE, base), ...columns];
    return columns.flatMap((column, index) => {
      const isOther = base[index] !== null && column.iteration !== 0;
      return isOther ? [base[index], column] : [column];
    });
  }

  column(run, iteration, index) {
    const numberIn = (row) => this.rows[row][1 + index];
    return run.has(iteration) ? new Column(run, iteration, numberIn) : new Lacking(run, iteration);
  }
}

/* The column of an iteration that a run has no samples of. */
class Lacking {
  constructor({ title }, iteration) {
    this.title = `${title}, iteration ${number(iteration, 0)}`;
  }

  async load() {}

  sampleIn() {
    return null;
  }
}

/* Columns that are one: in a row, the first that has a sample there. */
class FirstOf {
  constructor(title, columns) {
    this.title = title;
    this.columns = columns;
  }

  async load() {
    await Promise.all(this.columns.map((column) => column.load()));
  }

  sampleIn(row, prompt) {
    const found = this.columns.map((column) => column.sampleIn(row, prompt));
    return found.find((sample) => sample !== null) ?? null;
  }
}

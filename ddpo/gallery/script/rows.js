/* The grid: a row a prompt, and columns of samples. Rows are built as they come into view. */

const AT_ONCE = 8;
const BEFORE_ASKING = 64;

/* The samples of one run at one iteration; `numberIn` says which of them stands in a row. */
class Column {
  constructor(run, iteration, numberIn = (row) => row) {
    this.run = run;
    this.iteration = iteration;
    this.numberIn = numberIn;
  }

  /* Asked anew each time: what is called the newest may be so no longer. */
  get title() {
    return this.run.titleOf(this.iteration);
  }

  async load() {
    this.set = await this.run.sampleSet(this.iteration);
  }

  /* The sample in a row; null where there is none of its prompt. */
  sampleIn(row, prompt) {
    const at = this.numberIn(row);
    const isThere = at !== null && this.set.has(at, prompt);
    return isThere ? { run: this.run, set: this.set, at } : null;
  }
}

class Rows {
  /* `prompts` says which rows there are; by default the samples of the longest column. */
  constructor({ name, columns, prompts = null }, lightbox, place) {
    this.name = name;
    this.prompts = prompts;
    this.lightbox = lightbox;
    this.place = place;
    this.columns = columns;
    whenNear(place, () => reporting(place, this.show(this.columns)));
  }

  async show(columns) {
    this.columns = columns;
    await Promise.all(columns.map((column) => column.load()));
    /* Others were asked for while the data came. */
    if (this.columns !== columns) return;
    if (!this.whole) this.begin();
    this.lay(AT_ONCE);
  }

  begin() {
    this.asked = BEFORE_ASKING;
    this.more = button({ class: "more", hidden: true }, () => this.askMore());
    this.end = element("div");
    this.whole = element("div");
    this.place.replaceChildren(this.whole, this.more, this.end);
  }

  /* Builds the table, with so many rows to begin with. */
  lay(count) {
    this.rows = this.prompts ?? longest(this.columns);
    this.built = 0;
    this.body = element("tbody", { role: "rowgroup" });
    this.whole.replaceChildren(this.table());
    this.build(count);
  }

  table() {
    const titles = ["prompt", ...this.columns.map(({ title }) => title)];
    const cells = titles.map((title) =>
      element("th", { scope: "col", role: "columnheader" }, title),
    );
    const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...cells));
    const style = `grid columns-${this.columns.length}`;
    return element("table", { class: style, role: "table", "aria-label": this.name }, head, this.body);
  }

  build(count = AT_ONCE) {
    const end = Math.min(this.built + count, this.asked, this.rows.count);
    for (; this.built < end; this.built++) this.body.append(this.row(this.built));
    const left = this.rows.count - this.built;
    this.more.hidden = left === 0 || this.built < this.asked;
    const next = Math.min(left, BEFORE_ASKING);
    this.more.textContent = `Show ${next} more of ${counted(this.rows.count, "row")}`;
    if (left > 0 && this.built < this.asked) this.goOnWhenNear();
  }

  goOnWhenNear() {
    if (this.waits) return;
    this.waits = true;
    whenNear(this.end, () => {
      this.waits = false;
      this.build();
    });
  }

  askMore() {
    this.asked += BEFORE_ASKING;
    this.build();
  }

  row(at) {
    const prompt = this.rows.promptOf(at);
    const samples = this.columns.map((column) => column.sampleIn(at, prompt));
    const shown = samples.filter((sample) => sample !== null);
    const list = { count: shown.length, at: (index) => shown[index], others: newestOf(shown) };
    const cells = samples.map((sample, index) => {
      const { title } = this.columns[index];
      const content = sample
        ? this.cell(sample, title, () => this.open(list, shown.indexOf(sample), at))
        : [element("div", { class: "absent" }, "not there")];
      return element("td", { role: "cell", "data-label": title }, ...content);
    });
    const head = element("th", { scope: "row", role: "rowheader" }, promptText(shorten(prompt, MOST_SHOWN), "clipped"));
    const reference = this.rows.referenceOf(at);
    if (reference !== null) {
      const text = isolated(shorten(reference, MOST_SHOWN), { class: "clipped" });
      head.append(element("div", { class: "reference" }, element("span", {}, "reference: "), text));
    }
    return element("tr", { role: "row" }, head, ...cells);
  }

  open(list, index, row) {
    this.lightbox.open(list, index, (last) => this.focus(list.at(last), row));
  }

  /* Gives the focus to what opens a sample in its row, or a newer one in its place. */
  focus({ run, set }, row) {
    const prompt = this.rows.promptOf(row);
    const column = this.columns.findIndex((each) => {
      const sample = each.sampleIn(row, prompt);
      return sample?.run === run && sample.set.iteration === set.iteration;
    });
    this.body.rows[row]?.cells[column + 1]?.querySelector("button")?.focus({ preventScroll: true });
  }

  cell(sample, title, open) {
    const { set, at } = sample;
    const prompt = shorten(set.promptOf(at), 120);
    const small = miniature(sample, `${title}: ${prompt}`);
    const beneath = scores(sample, false);
    if (set.isText(at)) {
      const name = `Open the completion of ${title}: ${prompt}`;
      const passed = testsPassed(set.resultsOf(at));
      return [small, passed, beneath, button({ class: "link", "aria-label": name }, open, "open")];
    }
    return [button({ class: "plain" }, open, small), beneath];
  }
}

function longest(columns) {
  return columns.map(({ set }) => set).reduce((most, set) => (set.count > most.count ? set : most));
}

/* Of several runs, what a sample of the row may be compared with, beside its base. */
function newestOf(samples) {
  return samples.filter(({ run, set }) => run.number !== null && set.iteration !== 0);
}

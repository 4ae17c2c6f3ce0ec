/* The grid: a row a prompt, a column an iteration. Rows are built as they come into view. */

const AT_ONCE = 8;
const BEFORE_ASKING = 64;

class Rows {
  constructor(summary, lightbox, place) {
    this.summary = summary;
    this.lightbox = lightbox;
    this.place = place;
    this.body = element("tbody", { role: "rowgroup" });
    whenNear(place, () => reporting(place, this.start()));
  }

  async start() {
    this.sets = await Promise.all(this.summary.columns.map(sampleSet));
    this.rows = this.sets.reduce((most, set) => (set.count > most.count ? set : most));
    this.built = 0;
    this.asked = BEFORE_ASKING;
    this.more = button({ class: "more", hidden: true }, () => this.askMore());
    this.end = element("div");
    this.place.replaceChildren(this.table(), this.more, this.end);
    this.build();
  }

  table() {
    const titles = ["prompt", ...this.summary.columns.map((each) => this.summary.heading(each))];
    const cells = titles.map((title) =>
      element("th", { scope: "col", role: "columnheader" }, title),
    );
    const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...cells));
    const style = `grid columns-${this.sets.length}`;
    const name = "Samples by iteration";
    return element("table", { class: style, role: "table", "aria-label": name }, head, this.body);
  }

  build() {
    const end = Math.min(this.built + AT_ONCE, this.asked, this.rows.count);
    for (; this.built < end; this.built++) this.body.append(this.row(this.built));
    const left = this.rows.count - this.built;
    this.more.hidden = left === 0 || this.built < this.asked;
    const next = Math.min(left, BEFORE_ASKING);
    this.more.textContent = `Show ${next} more of ${counted(this.rows.count, "row")}`;
    if (left > 0 && this.built < this.asked) whenNear(this.end, () => this.build());
  }

  askMore() {
    this.asked += BEFORE_ASKING;
    this.build();
  }

  row(at) {
    const prompt = this.rows.promptOf(at);
    const shown = this.sets.filter((set) => set.has(at, prompt));
    const list = { count: shown.length, at: (index) => [shown[index].iteration, at] };
    const cells = this.sets.map((set) => {
      const heading = this.summary.heading(set.iteration);
      const content = set.has(at, prompt)
        ? this.cell(set, at, heading, () => this.lightbox.open(list, shown.indexOf(set)))
        : [element("div", { class: "absent" }, "not there")];
      return element("td", { role: "cell", "data-label": heading }, ...content);
    });
    const head = element("th", { scope: "row", role: "rowheader" }, promptText(shorten(prompt, MOST_SHOWN), "clipped"));
    const reference = this.rows.referenceOf(at);
    if (reference !== null) {
      const text = isolated(shorten(reference, MOST_SHOWN), { class: "clipped" });
      head.append(element("div", { class: "reference" }, element("span", {}, "reference: "), text));
    }
    return element("tr", { role: "row" }, head, ...cells);
  }

  cell(set, at, heading, open) {
    const prompt = shorten(set.promptOf(at), 120);
    const small = miniature(this.summary, set, at, `${heading}: ${prompt}`);
    const beneath = scores(this.summary, set, at, false);
    if (set.isText(at)) {
      const name = `Open the completion of ${heading}: ${prompt}`;
      const passed = testsPassed(set.resultsOf(at));
      return [small, passed, beneath, button({ class: "link", "aria-label": name }, open, "open")];
    }
    return [button({ class: "plain" }, open, small), beneath];
  }
}

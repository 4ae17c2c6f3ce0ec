/* One sample over the page, with all that is known of it; arrow keys go through a list. */

class Lightbox {
  constructor() {
    this.wanted = BASE;
    this.title = element("h2", { id: "lightbox-title" });
    this.place = element("p", { class: "muted", "aria-live": "polite" });
    /* It scrolls where the screen is small, which the keyboard must be able to do. */
    this.content = element("div", {
      class: "content",
      tabindex: 0,
      role: "region",
      "aria-label": "Sample",
    });
    this.previous = button({}, () => this.move(-1), "← Previous");
    this.next = button({}, () => this.move(1), "Next →");
    this.against = element("select");
    this.against.addEventListener("change", () => this.compare(this.against.value));
    this.choice = labelled("Compared with", this.against);
    const close = button({ "aria-label": "Close" }, () => this.dialog.close(), "×");
    const head = element("header", {}, element("div", {}, this.title, this.place), close);
    this.dialog = element(
      "dialog",
      { class: "lightbox", "aria-labelledby": "lightbox-title" },
      head,
      this.content,
      element("nav", { "aria-label": "Samples" }, this.previous, this.choice, this.next),
    );
    this.dialog.addEventListener("keydown", (event) => this.pressed(event));
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    this.dialog.addEventListener("close", () => this.closed(this.index));
    document.body.append(this.dialog);
  }

  /* Shows one of a list, which is {count, at(index) → sample}; in a row of several runs `others` are
     samples that it may be compared with. `closed` is told which one was shown last. */
  async open(list, index, closed = () => {}) {
    this.list = list;
    this.closed = closed;
    await this.show(index);
    if (!this.dialog.open) this.dialog.showModal();
  }

  move(by) {
    const index = this.index + by;
    if (index >= 0 && index < this.list.count) this.show(index);
  }

  pressed(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    /* The slider and the choice have these keys for themselves, and a program that scrolls sideways. */
    if (!by || event.target.matches("input, select, pre")) return;
    event.preventDefault();
    this.move(by);
  }

  async show(index) {
    this.index = index;
    const sample = this.list.at(index);
    const others = await this.othersOf(sample);
    /* Another one was asked for while the data came. */
    if (this.index !== index) return;
    const { run, set, at } = sample;
    this.title.textContent = `${run.titleOf(set.iteration)}, ${run.shown} ${at}`;
    this.place.textContent = `${number(index + 1, 0)} of ${number(this.list.count, 0)}`;
    this.content.replaceChildren(this.stage(sample, this.offered(others)), this.facts(sample));
    this.endAt(this.previous, index === 0);
    this.endAt(this.next, index === this.list.count - 1);
  }

  stage(sample, other) {
    const { set, at } = sample;
    if (!set.isText(at)) return pictureStage(sample, other);
    return set.resultsOf(at) ? programStage(sample, other) : textStage(sample, other);
  }

  /* A button that is disabled under the focus would take the keys with it. */
  endAt(control, isEnd) {
    if (isEnd && document.activeElement === control) this.content.focus();
    control.disabled = isEnd;
  }

  /* What a sample may be compared with: its run's base, and other runs' samples of its row. */
  async othersOf({ run, set, at }) {
    if (set.iteration === 0) return [];
    const base = await run.baseOf(set, at);
    const found = base === null ? [] : [{ name: BASE, set: base, at }];
    const others = (this.list.others ?? []).filter(
      (other) => other.run !== run && other.set.isText(other.at) === set.isText(at),
    );
    return [...found, ...others.map((other) => ({ name: runName(other.run), ...other }))];
  }

  /* The one that was asked for last, where it is there; a choice where there are several. */
  offered(others) {
    const other = others.find(({ name }) => name === this.wanted) ?? others[0] ?? null;
    this.choice.hidden = others.length < 2;
    refill(this.against, others.map(({ name }) => [name, name]));
    this.against.value = other?.name ?? "";
    return other;
  }

  compare(name) {
    this.wanted = name;
    this.show(this.index);
  }

  facts(sample) {
    const { run, set, at } = sample;
    const terms = [
      ["prompt", promptText(set.promptOf(at))],
      ["iteration", number(set.iteration, 0)],
      ["number", `${at}, with seed ${run.seed || "not known"}`],
    ];
    const list = element("dl", { class: "about" });
    for (const [term, value] of terms) {
      list.append(element("div", {}, element("dt", {}, term), element("dd", {}, value)));
    }
    const hasFile = !set.isText(at) && !set.absent.has(at);
    const original = element("a", { href: set.picture(at) }, "the picture's file");
    const numbers = scores(sample, true);
    return element("aside", {}, list, numbers, hasFile ? original : null);
  }
}

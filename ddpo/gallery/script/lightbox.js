/* One sample over the page, with all that is known of it; arrow keys go through a list. */

class Lightbox {
  constructor(summary) {
    this.summary = summary;
    this.title = element("h2", { id: "lightbox-title" });
    this.place = element("p", { class: "muted", "aria-live": "polite" });
    this.content = element("div", { class: "content" });
    this.previous = button({}, () => this.move(-1), "← Previous");
    this.next = button({}, () => this.move(1), "Next →");
    const close = button({ "aria-label": "Close" }, () => this.dialog.close(), "×");
    const head = element("header", {}, element("div", {}, this.title, this.place), close);
    this.dialog = element(
      "dialog",
      { class: "lightbox", "aria-labelledby": "lightbox-title" },
      head,
      this.content,
      element("nav", { "aria-label": "Samples" }, this.previous, this.next),
    );
    this.dialog.addEventListener("keydown", (event) => this.pressed(event));
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    this.dialog.addEventListener("close", () => this.closed(this.index));
    document.body.append(this.dialog);
  }

  /* Shows one of a list, which is {count, at(index) → [iteration, number]}; `closed` is told which
     one was shown last. */
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
    /* The slider has these keys for itself, and a program that scrolls sideways. */
    if (!by || event.target.matches("[type=range], pre")) return;
    event.preventDefault();
    this.move(by);
  }

  async show(index) {
    this.index = index;
    const [iteration, at] = this.list.at(index);
    const set = await sampleSet(iteration);
    const base = await this.baseOf(set, at);
    /* Another one was asked for while the data came. */
    if (this.index !== index) return;
    this.title.textContent = `${this.summary.heading(iteration)}, ${this.summary.shown} ${at}`;
    this.place.textContent = `${number(index + 1, 0)} of ${number(this.list.count, 0)}`;
    this.content.replaceChildren(this.stage(set, at, base), this.facts(set, at));
    this.previous.disabled = index === 0;
    this.next.disabled = index === this.list.count - 1;
  }

  stage(set, at, base) {
    if (!set.isText(at)) return pictureStage(this.summary, set, at, base);
    return set.resultsOf(at) ? programStage(set, at, base) : textStage(set, at, base);
  }

  /* The base's samples, where they have one of this prompt and number that is not this one. */
  async baseOf(set, at) {
    if (!this.summary.hasBase || set.iteration === 0) return null;
    const base = await sampleSet(0);
    const isPair = base.has(at, set.promptOf(at)) && base.isText(at) === set.isText(at);
    return isPair ? base : null;
  }

  facts(set, at) {
    const terms = [
      ["prompt", promptText(set.promptOf(at))],
      ["iteration", number(set.iteration, 0)],
      ["number", `${at}, with seed ${this.summary.seed || "not known"}`],
    ];
    const list = element("dl", { class: "about" });
    for (const [term, value] of terms) {
      list.append(element("div", {}, element("dt", {}, term), element("dd", {}, value)));
    }
    const hasFile = !set.isText(at) && !set.absent.has(at);
    const original = element("a", { href: set.picture(at) }, "the picture's file");
    const numbers = scores(this.summary, set, at, true);
    return element("aside", {}, list, numbers, hasFile ? original : null);
  }
}

/* Many samples in a box that scrolls: only those in view are elements. */

const OVERSCAN = 2;
const REST = 80;
const MOVES = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: (n) => -n, ArrowDown: (n) => n };

class Wall {
  /* `measure` says how wide an item is at least and how high one of a width is, in pixels; `draw`
     fills one; `open` is called with an index when one is pressed. */
  constructor({ label, measure, draw, open }) {
    this.measure = measure;
    this.draw = draw;
    this.open = open;
    this.items = new Map();
    this.count = 0;
    this.active = 0;
    this.top = 0;
    this.list = element("ul");
    this.box = element("div", { class: "wall", role: "region", "aria-label": label }, this.list);
    this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.pressed(event));
    new ResizeObserver(() => this.lay()).observe(this.box);
  }

  show(count) {
    this.count = count;
    this.active = 0;
    this.clear();
    this.box.scrollTop = 0;
    this.lay();
  }

  clear() {
    this.items.clear();
    this.list.replaceChildren();
  }

  lay() {
    const gap = 16;
    const room = this.list.clientWidth;
    if (!room) return;
    const { width, height } = this.measure;
    this.columns = Math.max(1, Math.floor((room + gap) / (width(room) + gap)));
    const wide = (room - gap * (this.columns - 1)) / this.columns;
    this.step = { x: wide + gap, y: height(wide) + gap };
    this.list.style.setProperty("--width", `${wide}px`);
    this.list.style.setProperty("--height", `${height(wide)}px`);
    this.list.style.height = `${Math.ceil(this.count / this.columns) * this.step.y}px`;
    for (const [index, item] of this.items) this.put(item, index);
    this.refresh();
  }

  /* Whoever drags past whole screens sees none of them: those are left out until the box rests. */
  scrolled() {
    const { scrollTop, clientHeight } = this.box;
    const isFar = Math.abs(scrollTop - this.top) > clientHeight;
    this.top = scrollTop;
    clearTimeout(this.resting);
    if (isFar) this.resting = setTimeout(() => this.refresh(), REST);
    else this.refresh();
  }

  refresh() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.render();
    });
  }

  render() {
    if (!this.step) return;
    const [first, end] = this.range();
    for (const [index, item] of this.items) {
      /* One that has the focus stays: without it, keys would have nowhere to go. */
      if ((index >= first && index < end) || item.contains(document.activeElement)) continue;
      item.remove();
      this.items.delete(index);
    }
    for (let index = first; index < end; index++) this.item(index);
    /* One of those in view can be reached by the Tab key. */
    if (this.active < first || this.active >= end) this.activate(Math.min(first, this.count - 1));
  }

  range() {
    const { scrollTop, clientHeight } = this.box;
    const firstRow = Math.max(0, Math.floor(scrollTop / this.step.y) - OVERSCAN);
    const endRow = Math.ceil((scrollTop + clientHeight) / this.step.y) + OVERSCAN;
    return [firstRow * this.columns, Math.min(this.count, endRow * this.columns)];
  }

  item(index) {
    if (this.items.has(index)) return this.items.get(index);
    const place = { "aria-posinset": index + 1, "aria-setsize": this.count };
    const press = button({ class: "plain" }, () => this.open(index), ...this.draw(index));
    press.tabIndex = index === this.active ? 0 : -1;
    press.addEventListener("focus", () => this.activate(index));
    const made = element("li", place, press);
    this.put(made, index);
    this.items.set(index, made);
    this.list.append(made);
    return made;
  }

  put(item, index) {
    const [column, row] = [index % this.columns, Math.floor(index / this.columns)];
    item.style.transform = `translate(${column * this.step.x}px, ${row * this.step.y}px)`;
  }

  activate(index) {
    for (const [at, item] of this.items) item.firstChild.tabIndex = at === index ? 0 : -1;
    this.active = index;
  }

  pressed(event) {
    const to = this.target(event.key);
    if (to === null || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.focus(Math.max(0, Math.min(this.count - 1, to)));
  }

  target(key) {
    if (key === "Home") return 0;
    if (key === "End") return this.count - 1;
    return key in MOVES ? this.active + MOVES[key](this.columns) : null;
  }

  focus(index) {
    const top = Math.floor(index / this.columns) * this.step.y;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    const below = top + this.step.y - clientHeight;
    if (below > scrollTop) this.box.scrollTop = below;
    this.item(index).firstChild.focus({ preventScroll: true });
  }
}

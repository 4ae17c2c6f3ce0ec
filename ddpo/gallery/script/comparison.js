/* One sample in full, against the base model's of the same prompt and number. */

/* The stage of the lightbox: a picture and, where there is a base, a slider that uncovers it. */
function pictureStage(summary, set, at, base) {
  if (set.absent.has(at)) return element("div", { class: "absent" }, "picture missing");
  const prompt = shorten(set.promptOf(at), 120);
  const alt = `${summary.heading(set.iteration)}: ${prompt}`;
  const picture = element("img", { src: set.picture(at), alt });
  if (base === null || base.absent.has(at)) return element("div", { class: "stage" }, picture);
  const before = element("img", { src: base.picture(at), alt: `base: ${prompt}`, class: "before" });
  const pair = element("div", { class: "pair" }, picture, before);
  return element("div", { class: "stage" }, pair, slider(summary.heading(set.iteration), pair));
}

function slider(heading, pair) {
  const range = element("input", { type: "range", min: 0, max: 100, value: 0 });
  const show = () => {
    pair.style.setProperty("--uncovered", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} % of the base's picture`);
  };
  const follow = (event) => {
    const { left, width } = pair.getBoundingClientRect();
    range.value = (100 * (event.clientX - left)) / width;
    show();
  };
  range.addEventListener("input", show);
  pair.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    pair.setPointerCapture(event.pointerId);
    follow(event);
  });
  pair.addEventListener("pointermove", (event) => {
    if (pair.hasPointerCapture(event.pointerId)) follow(event);
  });
  show();
  const ends = [element("span", {}, "base"), range, element("span", {}, heading)];
  return element("label", { class: "slider" }, ...ends);
}

/* A completion, its reference with the differences marked, and what the base wrote. */
function textStage(set, at, base) {
  const text = set.texts[at];
  const reference = set.referenceOf(at);
  const marks = reference === null ? null : compared(text, reference);
  const ours = marks && text.trim() ? withMarks(marks[0], "only") : completion(text, "completion");
  const parts = [titled("Completion", ours)];
  if (reference !== null) {
    const shown = marks ? withMarks(marks[1], "lacking") : completion(reference, "completion");
    parts.push(titled("Reference", shown), legend(marks));
  }
  if (base !== null) {
    parts.push(titled("Base's completion", completion(base.texts[at], "completion")));
  }
  return element("div", { class: "stage texts" }, ...parts);
}

function titled(title, content) {
  return element("section", {}, element("h3", {}, title), content);
}

function legend(marks) {
  if (marks === null) return element("p", { class: "muted" }, "Too long to mark differences in.");
  const [only, lacking] = [
    element("mark", { class: "only" }, "not in the reference"),
    element("mark", { class: "lacking" }, "not in the completion"),
  ];
  return element("p", { class: "muted" }, "Marked: words ", only, " and ", lacking, ".");
}

/* One sample in full, against another of the same prompt: the base's, or another run's. That is
   {name, set, at}. */

/* The stage of the lightbox: a picture and, where there is another, a slider that uncovers it. */
function pictureStage({ run, set, at }, other) {
  if (set.absent.has(at)) return element("div", { class: "absent" }, "picture missing");
  const prompt = shorten(set.promptOf(at), 120);
  const alt = `${run.titleOf(set.iteration)}: ${prompt}`;
  const picture = element("img", { src: set.picture(at), alt });
  if (other === null || other.set.absent.has(other.at)) {
    return element("div", { class: "stage" }, picture);
  }
  const beneath = { src: other.set.picture(other.at), alt: `${other.name}: ${prompt}` };
  const before = element("img", { ...beneath, class: "before" });
  const pair = element("div", { class: "pair" }, picture, before);
  const name = run.number === null ? run.heading(set.iteration) : runName(run);
  return element("div", { class: "stage" }, pair, slider(other.name, name, pair));
}

function slider(other, name, pair) {
  const range = element("input", { type: "range", min: 0, max: 100, value: 0 });
  const show = () => {
    pair.style.setProperty("--uncovered", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} % of ${whose(other)} picture`);
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
  const ends = [element("span", {}, other), range, element("span", {}, name)];
  return element("label", { class: "slider" }, ...ends);
}

/* A completion, its reference with the differences marked, and what the other one is. */
function textStage({ set, at }, other) {
  const text = set.texts[at];
  const reference = set.referenceOf(at);
  const marks = reference === null ? null : compared(text, reference);
  const ours = marks && text.trim() ? withMarks(marks[0], "only") : completion(text, "completion");
  const parts = [titled("Completion", ours)];
  if (reference !== null) {
    const shown = marks ? withMarks(marks[1], "lacking") : completion(reference, "completion");
    parts.push(titled("Reference", shown), legend(marks));
  }
  if (other !== null) {
    const title = `${capital(other.name)}'s completion`;
    parts.push(titled(title, completion(other.set.texts[other.at], "completion")));
  }
  return element("div", { class: "stage texts" }, ...parts);
}

function whose(name) {
  return name === BASE ? `the ${name}'s` : `${name}'s`;
}

function capital(name) {
  return `${name[0].toUpperCase()}${name.slice(1)}`;
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

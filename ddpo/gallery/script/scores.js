/* A sample as it stands anywhere on the page, and the numbers beneath it. One is {run, set, at}: its
   run, the samples of its iteration, and its number among them. */

/* Characters of a text that are shown outside the lightbox; the style clips them further. */
const MOST_SHOWN = 600;

/* The numbers of a sample; with `all`, those too that are parts of a total. */
function scores({ run, set, at }, all) {
  const hasTotal = run.measures.some(({ section }) => section === "total");
  const list = element("dl", { class: "scores" });
  run.measures.forEach(({ name, section, decimals }, column) => {
    if (!all && hasTotal && section === "rewards") return;
    const value = number(set.values[column][at], decimals);
    const term = element("dt", {}, breakable(name));
    list.append(element("div", { class: section }, term, element("dd", {}, value)));
  });
  return list;
}

/* The small picture, or the text, of a sample. `description` is what the picture shows. */
function miniature({ run, set, at }, description) {
  if (set.isText(at)) {
    const style = set.resultsOf(at) ? "completion clipped lines" : "completion clipped";
    return completion(shorten(set.texts[at], MOST_SHOWN), style);
  }
  if (set.absent.has(at)) return element("span", { class: "absent" }, "picture missing");
  /* With its size, it has its place before it is there, and nothing moves when it comes. */
  const [width, height] = run.size;
  const how = { alt: description, width, height, decoding: "async" };
  return element("img", { src: set.thumb(at), ...how });
}

function completion(text, style) {
  if (!text.trim()) {
    return element("span", { class: "muted" }, text ? "(white space alone)" : "(empty)");
  }
  const lines = text.trim().includes("\n") ? " lines" : "";
  return isolated(text, { class: style + lines });
}

function promptText(prompt, style = null) {
  if (!prompt) return element("span", { class: "muted" }, "(empty prompt)");
  return isolated(prompt, { class: style });
}

/* How many samples have which reward: the base's and an iteration's, in shares of each. */

const BINS = 24;
const FRAME = { width: 440, height: 200, left: 44, right: 428, top: 26, bottom: 160 };

function histogram(measure, heading, values, base) {
  const ours = scored(values);
  const theirs = base === null ? new Float64Array() : scored(base);
  const [low, high] = extent([ours, theirs]);
  if (low === null) return element("p", { class: "muted" }, "Nothing was scored here.");
  const heights = [ours, theirs].map((each) => shares(each, low, high));
  const top = Math.max(...heights.flat());
  const words = [
    [heading, ours],
    ["base", theirs],
  ].map(([name, list]) => `${name}: ${inWords(list, measure)}`);
  const tone = measure.section === "watch" ? "watch" : "reward";
  const chart = drawing(
    "svg",
    {
      class: "chart",
      viewBox: `0 0 ${FRAME.width} ${FRAME.height}`,
      role: "img",
      "aria-labelledby": "histogram-title histogram-desc",
    },
    drawing("title", { id: "histogram-title" }, `Samples by ${measure.name}`),
    drawing("desc", { id: "histogram-desc" }, `${(theirs.length ? words : words.slice(0, 1)).join(". ")}.`),
    ...axes(measure, low, high, top),
    drawing("path", { class: `bars ${tone}`, d: `${outline(heights[0], top)}Z` }),
    theirs.length ? drawing("path", { class: "outline", d: outline(heights[1], top) }) : null,
  );
  const keys = element("ul", {}, element("li", { class: `key-band ${tone}` }, words[0]));
  if (theirs.length) keys.append(element("li", { class: "key-line base" }, words[1]));
  return element("figure", { class: "curve" }, chart, element("figcaption", {}, keys));
}

function scored(values) {
  return values.filter((value) => !Number.isNaN(value));
}

function inWords(values, { decimals }) {
  if (!values.length) return "none scored";
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return `mean ${number(mean, decimals)} of ${number(values.length, 0)}`;
}

/* Least and most of several lists; a single value gets room on either side. */
function extent(lists) {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists) {
    for (const value of list) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return [null, null];
  const room = low === high ? Math.abs(low) / 2 || 0.5 : 0;
  return [low - room, high + room];
}

function shares(values, low, high) {
  const counts = new Array(BINS).fill(0);
  for (const value of values) {
    counts[Math.min(BINS - 1, Math.floor(((value - low) / (high - low)) * BINS))]++;
  }
  return counts.map((count) => count / Math.max(1, values.length));
}

/* The steps of a histogram, from the axis and back to it. */
function outline(heights, top) {
  const width = (FRAME.right - FRAME.left) / BINS;
  const steps = heights.map((share) => {
    const y = FRAME.bottom - (share / top) * (FRAME.bottom - FRAME.top);
    return `V${y.toFixed(1)}h${width.toFixed(2)}`;
  });
  return `M${FRAME.left} ${FRAME.bottom}${steps.join("")}V${FRAME.bottom}`;
}

function axes(measure, low, high, top) {
  const { left, right, bottom } = FRAME;
  const name = drawing("text", { class: "axis-name", x: 0, y: 11 }, "share of samples");
  const highest = { x: left - 8, y: FRAME.top + 4, "text-anchor": "end" };
  const most = drawing("text", { class: "tick", ...highest }, `${Math.round(100 * top)} %`);
  const line = drawing("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom });
  const ends = [low, (low + high) / 2, high].map((value, index) => {
    const at = {
      x: left + ((right - left) * index) / 2,
      y: bottom + 16,
      "text-anchor": ["start", "middle", "end"][index],
    };
    return drawing("text", { class: "tick", ...at }, number(value, measure.decimals));
  });
  const middle = { x: (left + right) / 2, y: FRAME.height - 6, "text-anchor": "middle" };
  const below = drawing("text", { class: "axis-name", ...middle }, shorten(measure.name, 48));
  return [name, most, line, ...ends, below];
}

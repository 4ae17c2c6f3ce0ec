/* Programs, and what became of their tests. Whatever a program is or returns is text here. */

const LONGEST_PROGRAM = 20_000;
const VERDICTS = new Map([
  [true, ["✓", "passed", "right"]],
  [false, ["✗", "failed", "wrong"]],
  [null, ["–", "not known", null]],
]);

/* A program with the results of its tests, and what the other one is. */
function programStage({ set, at }, other) {
  const reference = set.referenceOf(at);
  const parts = [
    titled("Program", program(set.texts[at], "Program")),
    titled("Tests", tests(set.resultsOf(at))),
  ];
  if (reference !== null) parts.push(titled("Reference", program(reference, "Reference")));
  if (other !== null) {
    const title = `${capital(other.name)}'s program`;
    parts.push(titled(title, program(other.set.texts[other.at], title)));
    parts.at(-1).append(testsPassed(other.set.resultsOf(other.at)) ?? "");
  }
  return element("div", { class: "stage texts" }, ...parts);
}

/* Code in a box of its own, which scrolls sideways; very long code without numbers and colours. */
function program(text, name) {
  if (!text.trim()) return completion(text, "completion");
  const place = { class: "program", tabindex: 0, role: "region", "aria-label": name };
  if (text.length > LONGEST_PROGRAM) return element("pre", place, isolated(text));
  const lines = highlightedLines(text.replace(/\n$/, ""));
  const drawn = lines.flatMap((line) => [element("span", { class: "line" }, ...line), "\n"]);
  return element("pre", place, ...drawn);
}

/* "3 of 5 tests passed"; null where a sample is no program. */
function testsPassed(results) {
  if (results === null) return null;
  const all = counted(results.count, "test");
  const isKnown = results.passed !== null;
  const text = isKnown ? `${number(results.passed, 0)} of ${all} passed` : `${all}, not run`;
  return element("span", { class: "passed" }, text);
}

function tests(results) {
  const [shown, parts] = [results.tests.length, [testsPassed(results)]];
  if (results.problem) parts.push(note("Nothing is known of it: ", isolated(results.problem)));
  if (results.python === false) parts.push(note("It is not Python, so that nothing was run."));
  if (shown) parts.push(testTable(results.tests));
  if (shown && shown < results.count) parts.push(note(`The first ${shown} are listed.`));
  return element("div", { class: "tests" }, ...parts);
}

function note(...content) {
  return element("p", { class: "muted" }, ...content);
}

function testTable(listed) {
  const titles = ["result", "call", "expected", "what came"];
  const head = titles.map((title) => element("th", { scope: "col" }, title));
  const rows = listed.map(({ call, expected, got, passed }) => {
    const [mark, word, style] = VERDICTS.get(passed);
    const verdict = [element("span", { "aria-hidden": "true" }, mark), ` ${word}`];
    const cells = [call, expected, got].map((text) => element("td", {}, isolated(text)));
    return element("tr", { class: style }, element("td", {}, ...verdict), ...cells);
  });
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
  );
}

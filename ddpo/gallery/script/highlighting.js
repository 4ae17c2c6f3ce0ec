/* Python in colours, roughly: a program is text that is cut into pieces here, and nothing else. */

const KEYWORDS = new Set(
  ("False None True and as assert async await break class continue def del elif else except " +
    "finally for from global if import in is lambda nonlocal not or pass raise return try while " +
    "with yield").split(" "),
);
/* At every character one of these matches, and none goes back: a string that is not closed ends with
   its line, one in three quotes with the text. */
const PIECES = new RegExp(
  [
    String.raw`(?<comment>#.*)`,
    String.raw`(?<string>[rbfuRBFU]{0,2}(?:"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)` +
      String.raw`|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))`,
    String.raw`(?<number>\d[\w.]*)`,
    String.raw`(?<word>\w+)`,
    String.raw`(?<other>[^\w#"']+)`,
  ].join("|"),
  "g",
);

/* The pieces of a program as [class or null, text]. */
function pieces(program) {
  return Array.from(program.matchAll(PIECES), ({ 0: text, groups }) => [kindOf(groups), text]);
}

function kindOf({ comment, string, number, word }) {
  if (comment) return "comment";
  if (string) return "string";
  if (number) return "number";
  return KEYWORDS.has(word) ? "keyword" : null;
}

/* Its lines, each a list of nodes and texts. */
function highlightedLines(program) {
  const lines = [[]];
  for (const [kind, text] of pieces(program)) {
    text.split("\n").forEach((part, index) => {
      if (index) lines.push([]);
      if (part) lines.at(-1).push(kind ? element("span", { class: kind }, part) : part);
    });
  }
  return lines;
}

/* Two texts, with the words marked that only one of them has. */

const MOST_WORDS = 1500;

/* What is only in `text` and only in `other`: two lists of [word, whether it is marked], words and
   the spaces between them in turn. Null where the texts are too long to compare. */
function compared(text, other) {
  const [ours, theirs] = [text, other].map((each) => each.match(/\s+|\S+/g) ?? []);
  const [a, b] = [ours, theirs].map((words) => words.filter((word) => word.trim()));
  if (Math.max(a.length, b.length) > MOST_WORDS) return null;
  const [shared, sharedThere] = common(a, b);
  return [marked(ours, shared), marked(theirs, sharedThere)];
}

/* The indices, in each of two lists of words, of a longest common subsequence. */
function common(a, b) {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const at = i * width + j;
      lengths[at] =
        a[i] === b[j] ? lengths[at + width + 1] + 1 : Math.max(lengths[at + width], lengths[at + 1]);
    }
  }
  const [inA, inB] = [new Set(), new Set()];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const at = i * width + j;
    if (a[i] === b[j]) {
      inA.add(i++);
      inB.add(j++);
    } else if (lengths[at + width] >= lengths[at + 1]) i++;
    else j++;
  }
  return [inA, inB];
}

function marked(pieces, shared) {
  let word = 0;
  return pieces.map((piece) => [piece, piece.trim() !== "" && !shared.has(word++)]);
}

function withMarks(pieces, style) {
  const parts = pieces.map(([piece, mark]) =>
    mark ? element("mark", { class: style }, piece) : document.createTextNode(piece),
  );
  return element("bdi", { class: "completion" }, ...parts);
}

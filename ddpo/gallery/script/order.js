/* Which samples of an iteration to show, and in which order: numbers of samples. */

/* By the column of a measure; what could not be scored comes last. */
const ORDERS = {
  best: (values) => (a, b) => values[b] - values[a] || a - b,
  worst: (values) => (a, b) => values[a] - values[b] || a - b,
};

function ordered(set, { order, column, prompt, promptHas, textHas }) {
  const kept = filtered(set, prompt, promptHas.toLowerCase(), textHas.toLowerCase());
  if (order === "random") return shuffled(kept);
  const values = set.values[column];
  if (!values || !(order in ORDERS)) return kept;
  const scored = kept.filter((at) => !Number.isNaN(values[at]));
  const others = kept.filter((at) => Number.isNaN(values[at]));
  return [...scored.sort(ORDERS[order](values)), ...others];
}

/* Prompts are looked at once each, however many samples they have. */
function filtered(set, prompt, promptHas, textHas) {
  const fits = set.prompts.map(
    ([text]) => (prompt === null || text === prompt) && text.toLowerCase().includes(promptHas),
  );
  const kept = [];
  for (let at = 0; at < set.count; at++) {
    if (!fits[set.prompt[at]]) continue;
    if (!textHas || set.texts[at]?.toLowerCase().includes(textHas)) kept.push(at);
  }
  return kept;
}

/* The same random order at every visit, so that two people speak of the same samples. */
function shuffled(numbers) {
  const mixed = [...numbers];
  let state = 1;
  for (let last = mixed.length - 1; last > 0; last--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other], mixed[last]];
  }
  return mixed;
}

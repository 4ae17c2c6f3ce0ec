/* Newer samples of a served run: loaded first, then shown at once, where the reader is. */

/* Which content of each data file there is. Nothing that was loaded is older. */
function stampAll(data) {
  for (const [name, stamp] of Object.entries(data)) stamps.set(name, stamp);
}

/* Forgets what has changed. Files on their way arrive before: they call by their name, which would
   be that of the newer one, too. */
async function forgetOld({ run }, data) {
  await Promise.allSettled(loading.values());
  for (const [name, stamp] of Object.entries(data)) {
    if (stamps.get(name) === stamp) continue;
    loading.delete(name);
    run?.sets.delete(Number(name));
  }
  stampAll(data);
}

/* What is needed to show the newer samples; nothing on the page changes yet. */
async function newerSamples({ run, rows, explorer }) {
  const summary = await load("summary");
  const columns = rows?.body ? summary.columns.map((iteration) => new Column(run, iteration)) : [];
  await Promise.all(columns.map((column) => column.load()));
  const at = explorer?.set?.iteration;
  const isShown = at !== undefined;
  const chosen = isShown ? await Promise.all([run.sampleSet(at), explorer.baseOf(at)]) : [];
  return { summary, columns, chosen };
}

function showNewer(samples, { summary, columns, chosen }) {
  const before = samples.run?.measures;
  samples.show(summary);
  if (columns.length) renewRows(samples.rows, columns);
  const isOther = JSON.stringify(before) !== JSON.stringify(summary.measures);
  if (chosen.length) renewExplorer(samples.explorer, ...chosen, isOther);
}

function renewRows(rows, columns) {
  const cell = document.activeElement.closest("#rows td");
  const focused = cell && [rows.columns[cell.cellIndex - 1], cell.parentNode.sectionRowIndex];
  rows.columns = columns;
  rows.lay(rows.built);
  if (focused) rows.focus(...focused);
}

function renewExplorer(explorer, set, base, isOther) {
  const changed = isOther || set !== explorer.set;
  explorer.set = set;
  explorer.offer();
  if (changed) explorer.offerPrompts();
  explorer.find(base);
  if (changed) renewWall(explorer.wall, explorer.numbers.length);
}

function renewWall(wall, count) {
  const isFocused = wall.box.contains(document.activeElement);
  wall.count = count;
  wall.clear();
  wall.lay();
  if (isFocused && count) wall.focus(Math.min(wall.active, count - 1));
}

/* The page has been read: its parts take their places. It shows one run, or several together. */

document.addEventListener("DOMContentLoaded", async () => {
  document.querySelector("body > header").append(themeSwitch());
  const place = document.getElementById("rows");
  try {
    const together = "comparison" in place.dataset ? await load("runs") : null;
    const runs = together ? await several(together.titles) : [await Run.read()];
    document.body.classList.toggle("pixels", runs.every((run) => run.isSmall));
    const sampled = runs.filter((run) => run.iterations.length);
    if (!sampled.length) return;
    const lightbox = new Lightbox();
    if (together) new RunGrid(runs, together, lightbox, place);
    else new Rows(ofOne(runs[0]), lightbox, place);
    new Explorer(sampled, lightbox, document.getElementById("explorer"));
  } catch (error) {
    place.before(element("p", { class: "muted", role: "alert" }, error.message));
  }
});

function several(titles) {
  return Promise.all(titles.map((title, index) => Run.read(index + 1, title)));
}

/* The grid of one run: a column an iteration. */
function ofOne(run) {
  const columns = run.columns.map((iteration) => new Column(run, iteration));
  return { name: "Samples by iteration", columns };
}

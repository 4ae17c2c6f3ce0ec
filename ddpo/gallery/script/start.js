/* The page has been read: its parts take their places. It shows one run, or several together. */

/* What shows the samples of one run: nothing, until there are some. */
class Samples {
  show(summary) {
    if (this.run) this.run.take(summary);
    else this.run = new Run(summary);
    showPixels([this.run]);
    if (this.rows || !this.run.iterations.length) return;
    const lightbox = new Lightbox();
    this.rows = new Rows(ofOne(this.run), lightbox, document.getElementById("rows"));
    this.explorer = new Explorer([this.run], lightbox, document.getElementById("explorer"));
  }
}

const samples = new Samples();

document.addEventListener("DOMContentLoaded", async () => {
  document.querySelector("body > header").append(themeSwitch());
  const place = document.getElementById("rows");
  try {
    if ("comparison" in place.dataset) await showSeveral(await load("runs"), place);
    else samples.show(await load("summary"));
  } catch (error) {
    place.before(element("p", { class: "muted", role: "alert" }, error.message));
  }
});

async function showSeveral(together, place) {
  const runs = await Promise.all(together.titles.map((title, index) => Run.read(index + 1, title)));
  showPixels(runs);
  const sampled = runs.filter((run) => run.iterations.length);
  if (!sampled.length) return;
  const lightbox = new Lightbox();
  new RunGrid(runs, together, lightbox, place);
  new Explorer(sampled, lightbox, document.getElementById("explorer"));
}

function showPixels(runs) {
  document.body.classList.toggle("pixels", runs.every((run) => run.isSmall));
}

/* The grid of one run: a column an iteration. */
function ofOne(run) {
  const columns = run.columns.map((iteration) => new Column(run, iteration));
  return { name: "Samples by iteration", columns };
}

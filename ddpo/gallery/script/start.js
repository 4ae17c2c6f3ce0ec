/* The page has been read: its parts take their places. */

/* What shows samples: nothing, until there are some. */
class Samples {
  show(data) {
    if (this.summary) this.summary.take(data);
    else this.summary = new Summary(data);
    document.body.classList.toggle("pixels", this.summary.isSmall);
    if (this.rows || !this.summary.iterations.length) return;
    const lightbox = new Lightbox(this.summary);
    this.rows = new Rows(this.summary, lightbox, document.getElementById("rows"));
    this.explorer = new Explorer(this.summary, lightbox, document.getElementById("explorer"));
  }
}

const samples = new Samples();

document.addEventListener("DOMContentLoaded", async () => {
  document.querySelector("body > header").append(themeSwitch());
  try {
    samples.show(await load("summary"));
  } catch (error) {
    const place = document.getElementById("rows");
    place.before(element("p", { class: "muted", role: "alert" }, error.message));
  }
});

/* The page has been read: its parts take their places. */

document.addEventListener("DOMContentLoaded", async () => {
  document.querySelector("body > header").append(themeSwitch());
  const place = document.getElementById("rows");
  try {
    const summary = new Summary(await load("summary"));
    document.body.classList.toggle("pixels", summary.isSmall);
    if (!summary.iterations.length) return;
    const lightbox = new Lightbox(summary);
    new Rows(summary, lightbox, place);
    new Explorer(summary, lightbox, document.getElementById("explorer"));
  } catch (error) {
    place.before(element("p", { class: "muted", role: "alert" }, error.message));
  }
});

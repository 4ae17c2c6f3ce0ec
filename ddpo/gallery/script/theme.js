/* Light, dark, or as the system has it; kept for the next visit where the browser allows that. */

const THEMES = [["auto", "as the system"], ["light", "light"], ["dark", "dark"]];
const THEME = "ddpo-theme";

function remembered() {
  try {
    const kept = localStorage.getItem(THEME);
    return THEMES.some(([name]) => name === kept) ? kept : "auto";
  } catch {
    return "auto";
  }
}

function wear(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(THEME, theme);
  } catch {
    /* A browser that keeps nothing for files still shows the theme now. */
  }
}

function themeSwitch() {
  const control = choice(THEMES);
  control.value = remembered();
  control.addEventListener("change", () => wear(control.value));
  const made = labelled("Theme", control);
  made.className = "theme";
  return made;
}

/* At once, before the page is drawn. */
document.documentElement.dataset.theme = remembered();

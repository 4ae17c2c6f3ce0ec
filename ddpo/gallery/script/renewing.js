/* A part of the page takes what is new in a later version of it. What has not changed stays the same
   elements: with the focus, what is unfolded, and how far it was scrolled. */

function renew(old, fresh) {
  if (old.nodeName !== fresh.nodeName) {
    old.replaceWith(document.importNode(fresh, true));
  } else if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
  } else if (!old.isEqualNode(fresh)) {
    renewAttributes(old, fresh);
    renewChildren(old, fresh);
  }
}

function renewAttributes(old, fresh) {
  for (const name of old.getAttributeNames()) {
    /* The reader unfolded it. */
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const name of fresh.getAttributeNames()) {
    const value = fresh.getAttribute(name);
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function renewChildren(old, fresh) {
  const [ours, theirs] = [[...old.childNodes], [...fresh.childNodes]];
  ours.slice(theirs.length).forEach((child) => child.remove());
  theirs.forEach((child, at) => {
    if (at < ours.length) renew(ours[at], child);
    else old.append(document.importNode(child, true));
  });
}

/* What a version of the page says in words, figures and curves; samples are the script's own. */
function renewPage(fresh) {
  const ours = told(document);
  for (const [name, part] of told(fresh)) if (ours.has(name)) renew(ours.get(name), part);
}

function told(page) {
  const parts = page.querySelectorAll("header .lede, main > section:not(#explorer, :has(#rows))");
  return new Map([...parts].map((part) => [part.getAttribute("aria-labelledby"), part]));
}

/* What is in the middle of the screen stays there, whatever grows above it. */
function keepingPlace(act) {
  const marks = () => [...document.querySelectorAll("main > section, #rows tr")];
  const top = (mark) => mark.getBoundingClientRect().top;
  const before = marks();
  const at = scrollY ? before.findLastIndex((mark) => top(mark) <= innerHeight / 2) : -1;
  const from = at < 0 ? 0 : top(before[at]);
  act();
  if (at < 0) return;
  const mark = before[at].isConnected ? before[at] : marks()[at];
  scrollBy({ top: top(mark) - from, behavior: "instant" });
}

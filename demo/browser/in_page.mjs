// Questions that run inside a page.

/** Returns by how many pixels the document is too wide, and the innermost element whose content does not fit. */
export function widths() {
  const { scrollWidth: scroll, clientWidth: client } = document.documentElement;
  const isTooNarrow = (element) =>
    element.clientWidth > 1 && element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX === "visible";
  const tooNarrow = [...document.querySelectorAll("body *")].filter(isTooNarrow);
  const last = tooNarrow.at(-1);
  return { beyond: scroll - client, cause: last ? `${last.tagName.toLowerCase()} "${last.innerText.slice(0, 40)}"` : "unknown" };
}

/** Counts elements that the office does not write: what a payload would bring if a page did not escape it. */
export function foreignElements() {
  const ours = (element) => element.tagName === "SCRIPT" && new URL(element.src, location).pathname.startsWith("/assets/");
  const suspects = "script, img, iframe, object, [onerror], [onload], [onfocus], a[href^='javascript:' i]";
  return [...document.querySelectorAll(suspects)].filter((element) => !ours(element)).length;
}

/** Returns name, kind and visibility of the focused element. */
export function focusedElement() {
  const element = document.activeElement;
  const label = element.labels?.[0]?.innerText ?? element.getAttribute("aria-label") ?? element.innerText ?? "";
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const isOnScreen = box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0;
  const hasRing = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  // A field for a day has stops of its own inside, whose rings are the browser's.
  const isInside = window.lastStop === element && element.type === "date";
  window.lastStop = element;
  return {
    name: label.trim(),
    tag: element.tagName.toLowerCase(),
    isBody: element === document.body,
    isVisible: isOnScreen && (hasRing || isInside),
  };
}

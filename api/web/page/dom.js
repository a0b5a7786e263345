// Small helpers. Whatever comes from the cluster is only ever set as text or as
// an attribute's value, never as markup; the page's policy forbids that, too.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

function build(e, attrs, kids) {
  for (const [k, v] of Object.entries(attrs || {})) {
    if (v === undefined || v === null || v === false) continue;
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else e.setAttribute(k, v === true ? "" : v);
  }
  for (const kid of kids) if (kid !== undefined && kid !== null) e.append(kid);
  return e;
}

export function el(tag, attrs, ...kids) { return build(document.createElement(tag), attrs, kids); }
export function svg(tag, attrs, ...kids) { return build(document.createElementNS(SVG, tag), attrs, kids); }

// text and attr touch the page only where something has changed.
export function text(e, s) {
  s = String(s);
  if (e.textContent !== s) e.textContent = s;
}
export function attr(e, k, v) {
  if (v === undefined || v === null || v === false) { if (e.hasAttribute(k)) e.removeAttribute(k); return; }
  v = v === true ? "" : String(v);
  if (e.getAttribute(k) !== v) e.setAttribute(k, v);
}
export function cls(e, s) { attr(e, "class", s); }

// keyed makes the children of e those of items, in order, and keeps elements by
// key. make(item) builds one, fill(element, item) brings it up to date.
export function keyed(e, items, key, make, fill) {
  const had = e.keyed || (e.keyed = new Map());
  const now = new Map();
  let at = e.firstChild;
  for (const item of items) {
    const k = key(item);
    let kid = had.get(k);
    if (!kid || now.has(k)) kid = make(item);
    now.set(k, kid);
    fill(kid, item);
    if (kid === at) at = at.nextSibling;
    else e.insertBefore(kid, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
  e.keyed = now;
}

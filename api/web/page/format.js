// How numbers, sizes and times are written. The hub's number() is the same.

export const NONE = "–";

export function num(v) {
  const a = Math.abs(v);
  if (a !== 0 && a < 9.95) return String(Math.round(v * 10) / 10);
  if (a < 999.5) return v.toFixed(0);
  if (a < 9999.5) return Math.round(v).toLocaleString("en-US");
  if (a < 999950) return (v / 1e3).toFixed(1) + "k";
  if (a < 999950000) return (v / 1e6).toFixed(2) + "M";
  return (v / 1e9).toFixed(2) + "G";
}

// whole is a number to the last digit, for titles.
export function whole(v) { return Math.round(v).toLocaleString("en-US"); }

export function bytes(v) {
  if (!v) return NONE;
  if (v < 1024 * 1024) return Math.max(1, Math.round(v / 1024)) + " K";
  if (v < 4 * 1024 ** 3) return whole(v / 1024 ** 2) + " M";
  return (v / 1024 ** 3).toFixed(1) + " G";
}

export function dur(s) {
  s = Math.max(0, Math.floor(s));
  if (s < 60) return s + "s";
  if (s < 3600) return Math.floor(s / 60) + "m" + String(s % 60).padStart(2, "0") + "s";
  if (s < 172800) return Math.floor(s / 3600) + "h" + String(Math.floor(s % 3600 / 60)).padStart(2, "0") + "m";
  return Math.floor(s / 86400) + "d" + String(Math.floor(s % 86400 / 3600)).padStart(2, "0") + "h";
}

const two = (n) => String(n).padStart(2, "0");

// clock is a time of this day in the browser's zone, with the date where it is another.
export function clock(t, now) {
  if (!t) return NONE;
  const d = new Date(t * 1000);
  const hms = two(d.getHours()) + ":" + two(d.getMinutes()) + ":" + two(d.getSeconds());
  if (now && new Date(now * 1000).toDateString() !== d.toDateString()) {
    return d.getFullYear() + "-" + two(d.getMonth() + 1) + "-" + two(d.getDate()) + " " + hms;
  }
  return hms;
}

export function percent(v) { return v < 9.95 ? v.toFixed(1) + " %" : v.toFixed(0) + " %"; }

export function plural(n, one, many) { return num(n) + " " + (n === 1 ? one : many); }

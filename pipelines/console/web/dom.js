// SPDX-License-Identifier: MIT
// Making and updating elements. All text goes in by textContent: names are anybody's.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat())
    if (child !== null && child !== undefined)
      element.append(typeof child === "object" ? child : document.createTextNode(String(child)));
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/// Makes the children of `list` those of `items`, in order, and keeps the elements that are there
/// already, and with them the focus.
export function keyed(list, items, keyOf, make, update) {
  const old = new Map();
  for (const child of [...list.children]) old.set(child.dataset.key, child);
  let place = list.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let element = old.get(key);
    if (element) {
      old.delete(key);
    } else {
      element = make(item);
      element.dataset.key = key;
    }
    if (update) update(element, item);
    if (element === place) place = place.nextElementSibling;
    else list.insertBefore(element, place);
  }
  for (const element of old.values()) element.remove();
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export function timeElement(ms) {
  const date = new Date(ms);
  const today = date.toDateString() === new Date().toDateString();
  return h("time", { datetime: date.toISOString(), title: date.toLocaleString() }, (today ? clock : day).format(date));
}

export function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}

/// A picture, or the first letter of the name where there is none or it is gone by now.
export function facePicture(url, label, big = false) {
  const style = big ? "face big" : "face";
  const letter = () => h("span", { class: style, "aria-hidden": "true" }, (label || "?").slice(0, 1).toUpperCase());
  if (!url) return letter();
  return h("img", { class: style, src: url, alt: "", loading: "lazy", onerror: (event) => event.target.replaceWith(letter()) });
}

export function empty(title, ...text) {
  return h("div", { class: "empty" }, h("strong", {}, title), h("p", {}, ...text));
}

export function toast(text) {
  const element = h("div", { class: "toast" }, text);
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), 5000);
}

// SPDX-License-Identifier: MIT
// Signing in, the views, and what the server tells while the page is open.
import { get, post } from "./api.js";
import { h, toast } from "./dom.js";
import { eventText, eventsView } from "./events.js";
import { liveView } from "./live.js";
import { peopleView } from "./people.js";
import { strangersView } from "./strangers.js";
import { setUpTheme } from "./theme.js";

const kViews = { live: liveView, events: eventsView, unknown: strangersView, people: peopleView };
const main = document.getElementById("main");
const nav = document.getElementById("nav");
const linkState = document.getElementById("link-state");

/// What all views know. `awaited`: names that were just enrolled, and when.
const state = { cameras: [], galleries: [], events: [], awaited: new Map() };
let view = null;
let stream = null;

function route() {
  const name = location.hash.replace(/^#\//, "");
  return Object.hasOwn(kViews, name) ? name : "live";
}

function showView(focus) {
  const name = route();
  if (view && view.leave) view.leave();
  view = kViews[name](state);
  main.replaceChildren(view.element);
  for (const link of nav.querySelectorAll("a"))
    if (link.getAttribute("href") === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  document.title = `${view.title} · sphere-camera`;
  const heading = main.querySelector("h1");
  if (focus && heading) heading.focus();
  view.update();
}

function showUnknownCount() {
  const strangers = new Map();
  for (const camera of state.cameras)
    if (camera.strangers !== undefined) strangers.set(camera.gallery, camera.strangers);
  const count = [...strangers.values()].reduce((sum, each) => sum + each, 0);
  const badge = document.getElementById("unknown-count");
  badge.hidden = count === 0;
  badge.textContent = String(count);
  badge.setAttribute("aria-label", `${count} unknown people`);
}

function takeStatus(status) {
  state.cameras = status.cameras;
  state.galleries = status.galleries;
  for (const camera of state.cameras)
    for (const face of camera.faces) {
      const since = face.state === "known" ? state.awaited.get(face.id) : undefined;
      if (since === undefined) continue;
      state.awaited.delete(face.id);
      toast(`${face.label} is recognised by ${camera.name}, ${((performance.now() - since) / 1000).toFixed(1)} s after.`);
    }
  showUnknownCount();
  if (view) view.update();
}

function takeEvent(event) {
  state.events.unshift(event);
  state.events.length = Math.min(state.events.length, 200);
  if (event.event === "identified" || event.event === "renamed") {
    const line = h("p", {}, eventText(event));
    const announcer = document.getElementById("announcer");
    announcer.append(line);
    while (announcer.childElementCount > 5) announcer.firstElementChild.remove();
  }
  if (view && view.event) view.event(event);
}

async function loadEvents() {
  state.events = (await get("/api/events", { most: 100 })).events;
}

/// What is listed is no longer so: somebody was removed or renamed, or events passed us by.
async function reloadEvents() {
  try {
    await loadEvents();
  } catch {
    return; // the stream says what is wrong
  }
  if (view && view.events) view.events();
}

function listen() {
  stream = new EventSource("/api/stream");
  const on = (name, take) => stream.addEventListener(name, (message) => take(JSON.parse(message.data)));
  on("hello", () => { linkState.textContent = ""; });
  on("status", takeStatus);
  on("event", takeEvent);
  on("gallery", () => { if (view && view.gallery) view.gallery(); });
  on("behind", reloadEvents);
  on("history", reloadEvents);
  stream.addEventListener("error", async () => {
    linkState.textContent = "Not connected";
    if (stream.readyState !== EventSource.CLOSED) return; // it tries by itself
    stream.close();
    try {
      await start();
    } catch {
      setTimeout(listen, 3000);
    }
  });
}

async function start() {
  takeStatus(await get("/api/cameras"));
  await loadEvents();
  nav.hidden = false;
  document.getElementById("sign-out").hidden = false;
  showView(false);
  listen();
}

function showSignIn(message) {
  if (stream) stream.close();
  stream = null;
  if (view && view.leave) view.leave();
  view = null;
  nav.hidden = true;
  document.getElementById("sign-out").hidden = true;
  linkState.textContent = "";
  document.title = "Sign in · sphere-camera";
  const error = h("p", { class: "error", role: "alert", id: "token-error" }, message || "");
  const input = h("input", { id: "token", type: "password", autocomplete: "off", required: true, "aria-describedby": "token-error" });
  main.replaceChildren(h("section", { class: "card sign-in" },
    h("h1", { tabindex: "-1" }, "Sign in"),
    h("p", { class: "soft" }, "Open the address that sphere-camera printed when it started: it has the token in it. Or paste the token here; it is in the file that ", h("code", {}, "token_file"), " names."),
    h("form", {
      onsubmit: (event) => {
        event.preventDefault();
        signIn(input.value.trim());
      },
    }, h("div", {}, h("label", { for: "token" }, "Token"), input, error),
      h("div", {}, h("button", { class: "primary" }, "Sign in")))));
}

async function signIn(token) {
  try {
    await post("/api/login", { token });
    await start();
  } catch (error) {
    showSignIn(error.message);
  }
}

async function begin() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token !== null) {
    history.replaceState(null, "", location.pathname); // nobody reads it over a shoulder
    await signIn(token);
    return;
  }
  try {
    await start();
  } catch (error) {
    showSignIn(error.status === 401 ? "" : error.message);
  }
}

setUpTheme(document.getElementById("theme"));
document.getElementById("sign-out").addEventListener("click", async () => {
  await post("/api/logout", {});
  showSignIn("");
});
document.addEventListener("signed-out", () => { if (stream) showSignIn(""); });
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", () => {
  if (new URLSearchParams(location.hash.slice(1)).has("token")) begin();
  else if (stream) showView(true);
});
begin();

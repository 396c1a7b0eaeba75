// SPDX-License-Identifier: MIT
// The moving picture of one camera, all cameras small, who is in view, the latest events.
import { faceUrl, get, post } from "./api.js";
import { askName } from "./dialogs.js";
import { empty, facePicture, h, keyed, setText, toast } from "./dom.js";
import { eventKey, eventRow } from "./events.js";

let chosen = null; // outlives the view

const isStranger = (id) => /^unknown-\d+$/.test(id);

/// Names a face in view: a stranger who was collected becomes a person with all faces, of
/// another the best picture of the track is enrolled.
export async function nameFace(state, camera, face) {
  let picture = null;
  if (isStranger(face.id)) {
    const { strangers } = await get("/api/strangers", { gallery: camera.gallery });
    const found = strangers.find((stranger) => stranger.id === face.id);
    if (found) picture = faceUrl(camera.gallery, found.picture);
  }
  const event = state.events.find((each) => each.camera === camera.name && each.track === face.track && each.shot);
  if (!picture && event) picture = `/api/events/${event.number}.jpg`;
  await askName({
    title: "Who is this?",
    help: "A name that is enrolled already gets one more face.",
    gallery: camera.gallery,
    picture,
    act: async (name) => {
      if (isStranger(face.id)) await post("/api/strangers/promote", { gallery: camera.gallery, stranger: face.id, name });
      else await post("/api/enrol", { camera: camera.name, track: face.track, name });
      state.awaited.set(name, performance.now());
      toast(`${name} is enrolled.`);
    },
  });
}

function tile(camera, choose) {
  const image = h("img", { alt: "" });
  return h("button", { type: "button", class: "tile", onclick: () => choose(camera.name) },
    h("div", { class: "pic" }, image),
    h("div", { class: "cap" }, h("span", { class: "grow" }, camera.name), h("span", { class: "pill" })));
}

/// The next still of a camera; the old one stays until it is there.
function refreshStill(image, name) {
  const next = new Image();
  next.onload = () => { image.src = next.src; };
  next.src = `/still/${encodeURIComponent(name)}.jpg?t=${Date.now()}`;
}

function inViewRow(state, camera, face) {
  const name = face.label || face.id || "Somebody unknown";
  // What cannot be recognised cannot be enrolled either.
  const button = ["known", "unusable"].includes(face.state) ? null : h("button", {
    type: "button", "aria-label": `Name ${name}, seen by ${camera.name}`,
    onclick: () => nameFace(state, camera, face).catch((error) => toast(error.message)),
  }, "Name…");
  return h("li", { class: "row" },
    h("div", { class: "grow" },
      h("div", { class: "title" }, name),
      h("div", { class: "soft small num" }, "")),
    h("span", { class: `pill ${face.state}` }, face.state), button);
}

export function liveView(state) {
  const moving = h("img", { id: "live-picture", alt: "" });
  const waiting = h("p", { class: "waiting" });
  const problem = h("p", { class: "problem" });
  const title = h("h2", {});
  const pill = h("span", { class: "pill" });
  const facts = h("span", { class: "soft small num" });
  const tiles = h("div", { class: "tiles", role: "group", "aria-label": "Cameras" });
  const inView = h("ul", { id: "in-view" });
  const nobody = h("p", { class: "soft" }, "Nobody is in view.");
  const feed = h("ul", { id: "feed" });
  const quiet = h("p", { class: "soft" }, "Nothing has happened yet.");
  const board = h("div", { class: "live" },
    h("div", {},
      h("div", { class: "card stage" },
        h("div", { class: "screen" }, waiting, moving), problem,
        h("div", { class: "stage-foot" }, title, pill, facts)),
      tiles),
    h("div", { class: "side" },
      h("section", { class: "card panel", "aria-label": "In view now" }, h("h2", {}, "In view now"), inView, nobody),
      h("section", { class: "card panel", "aria-label": "Latest events" }, h("h2", {}, "Latest events"), h("div", { class: "feed", tabindex: "0", role: "region", "aria-label": "List of latest events" }, feed, quiet))));
  const nothing = empty("No cameras yet", "Add one under ", h("code", {}, "cameras"), " in the file that sphere-camera was started with: ",
    h("code", {}, '{"name": "door", "uri": "rtsp://192.168.1.20/stream"}'), ". It appears here as soon as the file is saved.");
  let playing = null;

  function play(name) {
    if (playing === name) return;
    playing = name;
    if (name === null) moving.removeAttribute("src");
    else moving.src = `/live/${encodeURIComponent(name)}.mjpeg?t=${Date.now()}`;
  }
  moving.addEventListener("error", () => {
    if (playing === null) return;
    playing = null;
    setTimeout(update, 2000);
  });

  function choose(name) {
    chosen = name;
    update();
  }

  function showStage(camera) {
    play(document.hidden ? null : camera.name);
    moving.alt = `Live picture of ${camera.name}`;
    moving.hidden = camera.state !== "playing";
    setText(waiting, camera.state === "playing" ? "The picture is coming…" : `${camera.name} is ${camera.state}.`);
    setText(problem, camera.recording_error || camera.last_error);
    problem.hidden = camera.recording_error === "" && (camera.last_error === "" || camera.state === "playing");
    setText(title, camera.name);
    setText(pill, camera.state);
    pill.className = `pill ${camera.state}`;
    const size = camera.width ? `${camera.width} × ${camera.height} · ` : "";
    setText(facts, `${size}${camera.fps.toFixed(1)} frames/s${camera.recording ? " · recording" : ""}${camera.reconnects ? ` · ${camera.reconnects} reconnects` : ""}`);
  }

  function showInView() {
    const faces = state.cameras.flatMap((camera) => camera.faces.map((face) => ({ camera, face })));
    keyed(inView, faces,
      ({ camera, face }) => JSON.stringify([camera.name, face.track, face.track < 0 ? Math.round(face.x) : 0, face.id, face.state]),
      ({ camera, face }) => inViewRow(state, camera, face),
      (row, { camera, face }) => setText(row.querySelector(".small"),
        camera.name + (face.distance >= 0 && face.state === "known" ? ` · distance ${face.distance.toFixed(2)}` : "") +
        (face.state === "unusable" && face.reason ? ` · ${face.reason}` : "")));
    nobody.hidden = faces.length > 0;
  }

  function update() {
    nothing.hidden = state.cameras.length > 0;
    board.hidden = state.cameras.length === 0;
    if (state.cameras.length === 0) return play(null);
    const camera = state.cameras.find((each) => each.name === chosen) || state.cameras[0];
    showStage(camera);
    tiles.hidden = state.cameras.length < 2;
    keyed(tiles, state.cameras, (each) => each.name, (each) => tile(each, choose), (element, each) => {
      element.setAttribute("aria-pressed", String(each.name === camera.name));
      const state = element.querySelector(".pill");
      setText(state, each.state);
      state.className = `pill ${each.state}`;
    });
    showInView();
    keyed(feed, state.events.slice(0, 30), eventKey, eventRow);
    quiet.hidden = state.events.length > 0;
  }

  const stills = setInterval(() => {
    if (document.hidden || tiles.hidden) return;
    for (const element of tiles.children) refreshStill(element.querySelector("img"), element.dataset.key);
  }, 1000);
  document.addEventListener("visibilitychange", update);
  return {
    title: "Live",
    element: h("section", {}, h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Live")), board, nothing),
    update,
    event: update,
    events: update,
    leave: () => {
      clearInterval(stills);
      document.removeEventListener("visibilitychange", update);
      play(null);
    },
  };
}

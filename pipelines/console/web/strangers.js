// SPDX-License-Identifier: MIT
// Unknown people whom the cameras keep, to be named.
import { faceUrl, get, post } from "./api.js";
import { confirmRemoval } from "./dialogs.js";
import { count, empty, facePicture, h, keyed, timeElement, toast } from "./dom.js";

export function strangersView(state) {
  const grid = h("ul", { class: "grid", id: "strangers" });
  const none = empty("No unknown faces", "Who passes a camera and is in no gallery appears here, to be named.");
  const off = empty("Unknown faces are not kept", "Name a face while it is in view, under Live. To have them collected here, set ",
    h("code", {}, '"collect-unknown": true'), " and ", h("code", {}, '"unknown-thumbnails": true'), " under ", h("code", {}, "recognition"),
    " of a camera. They are biometric data: off unless you ask for it.");
  none.hidden = off.hidden = true;
  let strangers = [];
  let loading = false;

  function card(stranger) {
    const { gallery, id } = stranger;
    const input = h("input", { "aria-label": `Name of ${id}`, placeholder: "Name", maxlength: "100", required: true, autocomplete: "off" });
    const button = h("button", { class: "primary" }, "Enrol");
    return h("li", { class: "card person" },
      facePicture(faceUrl(gallery, stranger.picture), "?", true),
      h("div", { class: "body" }, h("div", { class: "title" }, id), h("div", { class: "soft small" }, ""), h("div", { class: "seen" })),
      h("form", {
        onsubmit: async (event) => {
          event.preventDefault();
          const name = input.value.trim();
          button.disabled = true;
          try {
            await post("/api/strangers/promote", { gallery, stranger: id, name });
            state.awaited.set(name, performance.now());
            toast(`${name} is enrolled.`);
            await load();
          } catch (error) {
            toast(error.message);
          } finally {
            button.disabled = false;
          }
        },
      }, input, button),
      h("div", { class: "foot" }, h("button", {
        type: "button", class: "quiet remove", "aria-label": `Remove ${id}`,
        onclick: () => confirmRemoval({
          title: `Remove ${id}?`,
          text: "All that was kept of this person is overwritten. They are collected again when they come back.",
          act: async () => {
            await post("/api/people/remove", { gallery, id, confirm: id });
            await load();
          },
        }),
      }, "Remove")));
  }

  async function load() {
    if (loading) return;
    loading = true;
    try {
      const lists = await Promise.all(state.galleries.map(async ({ name }) => {
        const { strangers: found } = await get("/api/strangers", { gallery: name });
        return found.map((stranger) => ({ ...stranger, gallery: name }));
      }));
      strangers = lists.flat();
      show();
    } catch (error) {
      toast(error.message);
    } finally {
      loading = false;
    }
  }

  function show() {
    keyed(grid, strangers, (each) => `${each.gallery} ${each.id}`, card, (element, each) => {
      // A better picture takes the place of the old; what is being typed stays.
      if (element.dataset.picture !== String(each.picture)) {
        element.dataset.picture = String(each.picture);
        element.firstElementChild.replaceWith(facePicture(faceUrl(each.gallery, each.picture), "?", true));
      }
      element.querySelector(".small").textContent = `${count(each.visits, "visit", "visits")} · ${count(each.faces, "face", "faces")}`;
      element.querySelector(".seen").replaceChildren("last seen ", timeElement(each.last_seen_ms));
      element.querySelector(".seen").className = "seen soft small";
    });
    const collecting = state.cameras.some((camera) => camera.strangers !== undefined);
    none.hidden = strangers.length > 0 || !collecting;
    off.hidden = strangers.length > 0 || collecting;
  }

  const timer = setInterval(load, 2000); // sights change no gallery's version
  load();
  return {
    title: "Unknown",
    element: h("section", {}, h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Unknown faces")), grid, none, off),
    update: () => {},
    gallery: load,
    leave: () => clearInterval(timer),
  };
}

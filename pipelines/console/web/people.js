// SPDX-License-Identifier: MIT
// Who is enrolled.
import { faceUrl, get, post } from "./api.js";
import { askName, confirmRemoval, showFaces } from "./dialogs.js";
import { count, empty, facePicture, h, keyed, setText, toast } from "./dom.js";

export function peopleView(state) {
  const grid = h("ul", { class: "grid", id: "people" });
  const none = empty("Nobody is enrolled yet", "Name a face under Live or Unknown, or enrol photographs: ",
    h("code", {}, "spherectl enrol --gallery people.db --id ada ada-1.jpg ada-2.jpg"));
  const noMatch = empty("Nobody of that name", "Try a part of the name.");
  none.hidden = noMatch.hidden = true;
  const search = h("input", { type: "search", class: "search", placeholder: "Search", "aria-label": "Search people", oninput: () => load() });
  const gallery = h("select", { "aria-label": "Gallery", onchange: () => load() });
  const total = h("p", { class: "soft", role: "status" });
  let latest = 0;

  function card(person) {
    const { id, label } = person;
    return h("li", { class: "card person" },
      facePicture(faceUrl(person.gallery, person.picture), label, true),
      h("div", { class: "body" }, h("div", { class: "title" }, label), h("div", { class: "soft small" }, count(person.faces, "face", "faces"))),
      h("div", { class: "foot" },
        h("button", { type: "button", class: "quiet", "aria-label": `Faces of ${label}`, onclick: () => showFaces({ gallery: person.gallery, id, label }) }, "Faces"),
        h("button", {
          type: "button", class: "quiet", "aria-label": `Rename ${label}`,
          onclick: () => askName({
            title: `Rename ${label}`, help: "Running cameras show the new name at once.", value: label, action: "Rename",
            picture: faceUrl(person.gallery, person.picture),
            act: async (name) => {
              await post("/api/people/rename", { gallery: person.gallery, id, name });
              await load();
            },
          }),
        }, "Rename"),
        h("button", {
          type: "button", class: "quiet remove", "aria-label": `Remove ${label}`,
          onclick: () => confirmRemoval({
            title: `Remove ${label}?`,
            text: "All faces of this person are removed and overwritten, with the events about them here. This cannot be undone.",
            act: async () => {
              await post("/api/people/remove", { gallery: person.gallery, id, confirm: id });
              toast(`${label} is removed.`);
              await load();
            },
          }),
        }, "Remove")));
  }

  async function load() {
    const name = gallery.value;
    if (!name) return;
    const mine = ++latest;
    try {
      const { people, matching, all } = await get("/api/people", { gallery: name, q: search.value.trim() });
      if (mine !== latest) return; // an answer to what was typed before
      keyed(grid, people.map((person) => ({ ...person, gallery: name })), (person) => JSON.stringify(person), card);
      none.hidden = all > 0;
      noMatch.hidden = all === 0 || matching > 0;
      setText(total, all === 0 ? "" : matching > people.length ? `${people.length} of ${matching}` : count(matching, "person", "people"));
    } catch (error) {
      toast(error.message);
    }
  }

  function update() {
    const names = state.galleries.map((each) => each.name).join();
    if (gallery.dataset.names === names) return;
    gallery.dataset.names = names;
    const before = gallery.value;
    gallery.replaceChildren(...state.galleries.map((each) => h("option", { value: each.name }, each.shown)));
    if (state.galleries.some((each) => each.name === before)) gallery.value = before;
    gallery.hidden = state.galleries.length < 2;
    none.hidden = state.galleries.length > 0;
    load();
  }

  return {
    title: "People",
    element: h("section", {}, h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "People"), total, gallery, search), grid, none, noMatch),
    update,
    gallery: load,
  };
}

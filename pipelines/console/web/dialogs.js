// SPDX-License-Identifier: MIT
// The dialogs. <dialog> keeps the focus inside and gives it back.
import { get, faceUrl, post } from "./api.js";
import { h, timeElement, toast } from "./dom.js";

const by = (id) => document.getElementById(id);

for (const dialog of document.querySelectorAll("dialog")) {
  for (const button of dialog.querySelectorAll("[data-close]"))
    button.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
}

/// Opens `dialog`; `act` is called with each submission and may throw: its message is shown.
function run(dialog, form, errorElement, button, act) {
  errorElement.textContent = "";
  button.disabled = false;
  form.onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    errorElement.textContent = "";
    try {
      await act();
      dialog.close();
    } catch (error) {
      errorElement.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  };
  dialog.showModal();
}

/// Asks for a name. `act(name)` does what is to be done with it.
export async function askName({ title, help, picture, gallery, value = "", action = "Enrol", act }) {
  by("name-title").textContent = title;
  by("name-help").textContent = help;
  by("name-submit").textContent = action;
  const image = by("name-picture");
  image.hidden = !picture;
  if (picture) image.src = picture;
  const input = by("name-input");
  input.value = value;
  by("name-list").replaceChildren();
  run(by("name-dialog"), by("name-form"), by("name-error"), by("name-submit"),
      () => act(input.value.trim()));
  input.select();
  if (!gallery) return;
  try {
    const { people } = await get("/api/people", { gallery });
    by("name-list").replaceChildren(...people.map((person) => h("option", { value: person.id })));
  } catch {
    // suggestions only
  }
}

export function confirmRemoval({ title, text, action = "Remove", act }) {
  by("confirm-title").textContent = title;
  by("confirm-text").textContent = text;
  by("confirm-submit").textContent = action;
  run(by("confirm-dialog"), by("confirm-form"), by("confirm-error"), by("confirm-submit"), act);
  by("confirm-dialog").querySelector("[data-close]").focus();
}

/// The faces that are enrolled of somebody.
export async function showFaces({ gallery, id, label }) {
  by("faces-title").textContent = label;
  const list = by("faces-list");
  list.replaceChildren();
  by("faces-dialog").showModal();
  const load = async () => {
    const { faces } = await get("/api/people/faces", { gallery, id });
    list.replaceChildren(...faces.map((face) => h("li", {},
      face.picture
        ? h("img", { class: "face big", src: faceUrl(gallery, face.face), alt: "" })
        : h("span", { class: "face big", "aria-hidden": "true" }, label.slice(0, 1)),
      h("div", { class: "body" },
        h("div", {}, face.quarantined ? "in quarantine" : face.source || "enrolled"),
        timeElement(face.added_at_ms)),
      faces.length > 1
        ? h("button", {
            type: "button", class: "quiet remove",
            "aria-label": `Remove this face of ${label}, from ${face.source || "unknown source"}`,
            onclick: async () => {
              try {
                await post("/api/faces/remove", { gallery, face: face.face });
                await load();
              } catch (error) {
                toast(error.message);
              }
            },
          }, "Remove")
        : null)));
  };
  try {
    await load();
  } catch (error) {
    toast(error.message);
  }
}

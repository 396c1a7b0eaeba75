// SPDX-License-Identifier: MIT
// What happened, newest first.
import { get } from "./api.js";
import { empty, facePicture, h, keyed, timeElement, toast } from "./dom.js";

const kWords = {
  appeared: "came into view",
  identified: "was recognised",
  renamed: "turned out to be somebody else",
  left: "left",
};

export function who(event) {
  return event.label || event.id || "somebody unknown";
}

export function eventText(event) {
  if (event.event === "identified" && event.state !== "known") return `${who(event)} is seen by ${event.camera}`;
  if (event.event === "renamed" && event.id) return `${who(event)} was recognised on ${event.camera}`;
  return `${who(event)} ${kWords[event.event] || event.event} on ${event.camera}`;
}

/// A row is made anew when who it is about has another name.
export const eventKey = (event) => JSON.stringify([event.number, event.id, event.label]);

export function eventRow(event) {
  return h("li", { class: "row" },
    facePicture(event.shot ? `/api/events/${event.number}.jpg` : null, who(event)),
    h("div", { class: "grow" },
      h("div", { class: "title" }, who(event)),
      h("div", { class: "soft small" }, `${event.event} · ${event.camera}`)),
    h("span", { class: `pill ${event.state}` }, event.state),
    timeElement(event.at_ms));
}

export function eventsView(state) {
  const list = h("ul", { class: "card list", id: "event-list" });
  const nothing = empty("No events yet", "When somebody comes into view of a camera, is recognised or leaves, it is listed here with the best picture.");
  const more = h("button", { type: "button" }, "Older events");
  const filter = h("select", { "aria-label": "Which events", onchange: () => update() },
    h("option", { value: "" }, "All events"),
    Object.keys(kWords).map((kind) => h("option", { value: kind }, kind)));
  let shown = [...state.events];
  let complete = false;

  more.addEventListener("click", async () => {
    try {
      const before = shown.length ? shown[shown.length - 1].number : 0;
      const { events } = await get("/api/events", { before, most: 100 });
      shown = shown.concat(events);
      complete = events.length === 0;
      update();
    } catch (error) {
      toast(error.message);
    }
  });

  function update() {
    const wanted = shown.filter((event) => !filter.value || event.event === filter.value);
    keyed(list, wanted, eventKey, eventRow);
    list.hidden = wanted.length === 0;
    nothing.hidden = wanted.length > 0;
    more.hidden = complete || shown.length < 100;
  }
  return {
    title: "Events",
    element: h("section", {},
      h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Events"), filter), list, nothing,
      h("div", { class: "more" }, more)),
    update,
    event: (event) => {
      shown.unshift(event);
      update();
    },
    events: () => {
      shown = [...state.events];
      complete = false;
      update();
    },
  };
}

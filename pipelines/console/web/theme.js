// SPDX-License-Identifier: MIT
// Light or dark: as the system has it, or as the user says.

const kOrder = ["auto", "light", "dark"];
const system = matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  const stored = localStorage.getItem("theme");
  return kOrder.includes(stored) ? stored : "auto";
}

function show(button) {
  const theme = chosen();
  const dark = theme === "dark" || (theme === "auto" && system.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  button.textContent = `Theme: ${theme}`;
}

export function setUpTheme(button) {
  show(button);
  system.addEventListener("change", () => show(button));
  button.addEventListener("click", () => {
    localStorage.setItem("theme", kOrder[(kOrder.indexOf(chosen()) + 1) % kOrder.length]);
    show(button);
  });
}

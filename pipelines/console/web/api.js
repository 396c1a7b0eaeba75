// SPDX-License-Identifier: MIT
// What the server is asked.

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function answer(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // a proxy's page, for one
  }
  if (!response.ok) {
    if (response.status === 401) document.dispatchEvent(new CustomEvent("signed-out"));
    throw new ApiError(response.status, body.error || `the server said ${response.status}`);
  }
  return body;
}

export async function get(path, query = {}) {
  const text = new URLSearchParams(query).toString();
  return answer(await fetch(text ? `${path}?${text}` : path));
}

export async function post(path, body) {
  return answer(await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }));
}

export function faceUrl(gallery, face) {
  return face === null || face === undefined ? null : `/api/face.jpg?gallery=${gallery}&face=${face}`;
}

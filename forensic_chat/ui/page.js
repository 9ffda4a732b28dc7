// What Gradio has no component for: parts of a result that light up together, layers, enlargement, light and dark.
(() => {
  const THEME = "forensic-chat.theme";
  const saved = localStorage.getItem(THEME);
  if (saved) {
    const address = new URL(location.href);
    address.searchParams.set("__theme", saved); // for Gradio, if it has not chosen yet
    history.replaceState(null, "", address);
    document.body.classList.toggle("dark", saved === "dark"); // if it has
  }

  const words = (text) => (text || "").split(" ").filter(Boolean);

  function highlight(button) {
    const root = button.closest("#result");
    const off = button.getAttribute("aria-pressed") === "true";
    const wanted = off ? [] : words(button.dataset.pick);
    for (const other of root.querySelectorAll("[data-pick]"))
      other.setAttribute("aria-pressed", String(other === button && !off));
    const lit = [];
    for (const part of root.querySelectorAll("[data-names]")) {
      const on = words(part.dataset.names).some((name) => wanted.includes(name));
      part.classList.toggle("lit", on);
      if (on && part.tagName === "TR") lit.push(part.id.slice(3));
    }
    const claims = [...root.querySelectorAll(".claims li")];
    const said = claims.flatMap((claim, k) => (claim.classList.contains("lit") ? [k + 1] : []));
    const regions = [...root.querySelectorAll("button.region.lit")].map((region) => region.dataset.pick);
    const parts = [...regions, ...lit];
    if (said.length) parts.push((said.length > 1 ? "claims " : "claim ") + said.join(", "));
    root.querySelector(".picked").textContent = parts.length ? "Highlighted: " + parts.join(", ") : "";
    if (button.classList.contains("region"))
      for (const part of root.querySelectorAll("details.native"))
        part.open = !off && part.dataset.names === button.dataset.pick;
    else if (!off && regions.length)
      root.querySelector(".canvas").scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pick]");
    if (button) highlight(button);
    if (event.target.closest("[data-theme-switch]")) {
      const dark = document.body.classList.toggle("dark");
      localStorage.setItem(THEME, dark ? "dark" : "light");
    }
  });

  document.addEventListener("input", ({ target }) => {
    if (target.matches("[data-slider]"))
      target.closest(".picture").style.setProperty("--fc-mask", target.value / 100);
    if (target.matches("[data-zoom]"))
      target.closest(".native").style.setProperty("--fc-zoom", target.value);
    if (target.matches("[data-outline]"))
      target.closest(".native").querySelector(".layer").hidden = !target.checked;
  });
})();

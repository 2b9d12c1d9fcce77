// Sets the colours that were chosen in this browser before anything is painted. Without a choice, the system decides.
"use strict";

const cbTheme = {
  get chosen() {
    try {
      return localStorage.getItem("chatbill-theme") ?? "";
    } catch {
      return "";
    }
  },

  choose(name) {
    try {
      if (name) localStorage.setItem("chatbill-theme", name);
      else localStorage.removeItem("chatbill-theme");
    } catch {
      // A browser that keeps nothing shows the choice until the page is left.
    }
    cbTheme.show(name);
  },

  show(name) {
    if (name === "light" || name === "dark") document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
  },
};

cbTheme.show(cbTheme.chosen);
// Other tabs follow.
addEventListener("storage", () => cbTheme.show(cbTheme.chosen));

// Colours after Okabe and Ito, which people of every sort of colour vision tell apart; shape says the same as colour
// everywhere (a cross for what was lost, a dash for what was sent again, a ring for what came twice).

export interface Palette {
  ink: string;
  dim: string;
  faint: string;
  line: string;
  paper: string;
  data: string;
  ack: string;
  again: string;
  lost: string;
  twice: string;
  reset: string;
  control: string;
  accent: string;
  halo: string;
}

const light: Palette = {
  ink: "#1d2126", dim: "#5f6873", faint: "#98a1ab", line: "#dfe3e7", paper: "#ffffff", data: "#0072b2", ack: "#8f9aa5",
  again: "#c77800", lost: "#d55e00", twice: "#b3568a", reset: "#a3306f", control: "#00805c", accent: "#0072b2",
  halo: "rgba(255,255,255,.86)",
};

const dark: Palette = {
  ink: "#e6e9ec", dim: "#9aa4ae", faint: "#69737d", line: "#2c333a", paper: "#15191d", data: "#56b4e9", ack: "#7f8a95",
  again: "#f0b030", lost: "#ff7a33", twice: "#d993bd", reset: "#e58bbd", control: "#3ccb9d", accent: "#56b4e9",
  halo: "rgba(21,25,29,.86)",
};

export function isDark(): boolean {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export function palette(): Palette {
  return isDark() ? dark : light;
}

/** A colour for each of the eleven states: what opens, what is open, what closes, from each side. */
export function stateColour(name: string): string {
  const colours: Record<string, string> = {
    "SYN-SENT": "#56b4e9", "SYN-RECEIVED": "#56b4e9", ESTABLISHED: "#009e73", "FIN-WAIT-1": "#e69f00",
    "FIN-WAIT-2": "#e69f00", CLOSING: "#d55e00", "TIME-WAIT": "#cc79a7", "CLOSE-WAIT": "#e69f00", "LAST-ACK": "#d55e00",
  };
  return colours[name] ?? "#98a1ab";
}

/** A colour for each cause of the ledger. Neighbours in a bar also have their names and a gap between them. */
export function causeColour(name: string): string {
  const colours: Record<string, string> = {
    handshake: "#56b4e9", application: "#b9c1c9", "receiver window": "#cc79a7", "zero window": "#8f3f6d",
    "congestion window": "#0072b2", pacing: "#5b8db8", "send buffer": "#9a7fb8", "Nagle or cork": "#f0e442",
    recovery: "#e69f00", "retransmission timeout": "#d55e00", "path MTU": "#8c6d1f", receiving: "#009e73",
    "own reader": "#7a4a63", closing: "#7fb8a4", idle: "#d5dade",
  };
  return colours[name] ?? "#98a1ab";
}

// Every text on the page whose contrast to what lies behind it is below WCAG 2.2 AA, as [ratio, text].
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return { rgb: [red, green, blue], alpha: alpha / 255 };
  };
  const over = (top, share, below) => top.map((value, at) => value * share + below[at] * (1 - share));
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const { rgb, alpha } = rgba(getComputedStyle(at).backgroundColor);
      layers.push([rgb, alpha]);
      if (alpha === 1) break;
    }
    return layers.reverse().reduce((below, [rgb, alpha]) => over(rgb, alpha, below), [255, 255, 255]);
  };
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const opacity = (node) => {
    let share = 1;
    for (let at = node; at; at = at.parentElement) share *= Number(getComputedStyle(at).opacity);
    return share;
  };
  const poor = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    const words = texts.currentNode.textContent.trim();
    const isOff = node.closest("button:disabled, fieldset:disabled, .unseen, .veil, option");
    if (!words || isOff || !node.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(node);
    const ground = behind(node);
    const { rgb, alpha } = rgba(node.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const [one, other] = [luminance(over(rgb, alpha * opacity(node), ground)), luminance(ground)];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) poor.push([Math.round(ratio * 100) / 100, words.slice(0, 40)]);
  }
  return poor;
};

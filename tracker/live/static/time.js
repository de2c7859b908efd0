// Times and durations in words, in the zone and manner of who reads them.

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const SHORT = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "medium",
  hourCycle: "h23",
});

const asDate = (time) => (time instanceof Date ? time : new Date(time));

/** 21:15:02, with the day before it if that is not today. */
export function clock(time) {
  const date = asDate(time);
  if (Number.isNaN(date.getTime())) return "";
  const today = date.toDateString() === new Date().toDateString();
  return today ? CLOCK.format(date) : `${DAY.format(date)}, ${CLOCK.format(date)}`;
}

/** 21:15. */
export const shortClock = (time) => SHORT.format(asDate(time));

/** Day and time. */
export const full = (time) => (time ? FULL.format(asDate(time)) : "");

/** 12 s, 3 min 5 s, 2 h 10 min. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const all = Math.max(0, seconds);
  if (all < 10) return `${all.toFixed(1)} s`;
  const whole = Math.round(all);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}

/** 97 %, and below one percent with a digit more. */
export function percent(share) {
  if (share === null || share === undefined || !Number.isFinite(share)) return "–";
  const value = share * 100;
  const digits = (value > 0 && value < 1) || (value > 99 && value < 100) ? 1 : 0;
  return `${value.toFixed(digits)} %`;
}

/** What a field of type datetime-local takes: local time without a zone. */
export function localField(time) {
  const date = asDate(time);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

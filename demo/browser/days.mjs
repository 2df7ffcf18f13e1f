// Days of the office: local times as microseconds since 1970.

/**
 * Time zones without daylight saving, and their hours east of Greenwich. The first one in which half of the day is over
 * is the office's, so that today has a morning with reads at whatever hour the walk runs.
 */
const ZONES = [
  ["America/Regina", -6], ["America/Phoenix", -7], ["America/Panama", -5], ["America/Puerto_Rico", -4],
  ["America/Sao_Paulo", -3], ["Africa/Abidjan", 0], ["Africa/Nairobi", 3], ["Asia/Karachi", 5], ["Asia/Bangkok", 7],
  ["Australia/Brisbane", 10], ["Pacific/Tarawa", 12], ["Pacific/Pago_Pago", -11],
]; // prettier-ignore

/** The hours of a day at which a walk may begin. It lasts less than two. */
const [FROM_HOUR, TO_HOUR] = [12, 22];

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The calendar of an office, whose today is the day on which the walk began. */
export class Calendar {
  constructor(nowMs = Date.now()) {
    const hour = (offset) => new Date(nowMs + offset * HOUR_MS).getUTCHours();
    const [zone, offset] = ZONES.find(([, offset]) => hour(offset) >= FROM_HOUR && hour(offset) < TO_HOUR);
    this.zone = zone;
    this.offsetMs = offset * HOUR_MS;
    this.todayMs = Math.floor((nowMs + this.offsetMs) / DAY_MS) * DAY_MS;
  }

  /** Returns the date of a day, as `2026-11-28`; 0 is today and -1 yesterday. */
  date(day) {
    return new Date(this.todayMs + day * DAY_MS).toISOString().slice(0, 10);
  }

  /** Returns a local time of a day, such as `13:20`, as microseconds since 1970. */
  at(day, clock) {
    const [hours, minutes] = clock.split(":").map(Number);
    return (this.todayMs + day * DAY_MS + hours * HOUR_MS + minutes * 60_000 - this.offsetMs) * 1000;
  }
}

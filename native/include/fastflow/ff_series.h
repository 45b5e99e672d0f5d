/* SPDX-License-Identifier: Apache-2.0 */
/* Hourly series, one at a time: rows made dense, what is expected of each hour, and
 * whether any stretch is far above it. The modules baseline and surges of
 * fastflow.analysis.events say why. A day is 24 hours from the first one on, the last
 * may be cut short; weekdays and hours of the day are those of UTC. All arrays belong
 * to the caller. No result depends on any other series. */
#ifndef FASTFLOW_FF_SERIES_H
#define FASTFLOW_FF_SERIES_H

#include <math.h>

#include "fastflow/ff_base.h"

#define FF_DAY_HOURS 24u
#define FF_WEEK_DAYS 7u

/* Days that a level is taken from. */
#define FF_LEVEL_DAYS 28u
/* Less than so many hours of the whole network make no day. */
#define FF_LEAST_DAY_HOURS 6.0
/* Counts that a rhythm of one's own has to weigh against the rhythm of all. */
#define FF_RHYTHM_WEIGHT 200.0
/* Stretches that are looked at before it is asked whether any may rise. */
#define FF_STRETCHES_AT_ONCE 64u

FF_INLINE size_t ff_least(size_t one, size_t other) {
    return one < other ? one : other;
}

FF_INLINE size_t ff_days_of(size_t n_hours) {
    return (n_hours + FF_DAY_HOURS - 1) / FF_DAY_HOURS;
}

/* The rows of one series, in the order of their hours; hours without one have 0. */
typedef struct ff_series_rows {
    const int32_t *hours;
    const int32_t *counts;
    size_t n;
} ff_series_rows;

/* Hours that were rolled up together: in each stretch, a series is there or was dropped
 * because it had too little. */
typedef struct ff_stretches {
    const int64_t *edges; /* where each begins, and the end of the last; ascending */
    size_t n;
    double least_in_hour; /* what keeps a series that has it in any hour */
} ff_stretches;

/* How many rows from `at` on lie before an hour. A negative hour lies before none. */
FF_INLINE size_t ff_rows_before(const ff_series_rows *rows, size_t at, int64_t end) {
    size_t n = 0;
    while (at + n < rows->n && (uint32_t)rows->hours[at + n] < (uint64_t)end) n++;
    return n;
}

/* Write a series hour by hour, and draw it through stretches in which it was dropped as
 * it usually is elsewhere, but no higher than `most`. False if rows lie outside. */
static inline bool ff_series_fill(const ff_series_rows *rows,
                                  const ff_stretches *stretches, double most,
                                  double *values) {
    const int64_t *edges = stretches->edges;
    size_t at = 0;
    double quiet = 0, n_quiet = 0;
    memset(values, 0, (size_t)edges[stretches->n] * sizeof *values);
    for (size_t i = 0; i < stretches->n; i++) {
        size_t end = at + ff_rows_before(rows, at, edges[i + 1]);
        if (at == end) continue;
        for (; at < end; at++) values[rows->hours[at]] = rows->counts[at];
        for (int64_t hour = edges[i]; hour < edges[i + 1]; hour++) {
            bool is_quiet = values[hour] < stretches->least_in_hour;
            quiet += is_quiet ? values[hour] : 0;
            n_quiet += is_quiet;
        }
    }
    if (at < rows->n) return false;
    double usual = n_quiet > 0 ? quiet / n_quiet : 0;
    if (usual > most) usual = most;
    at = 0;
    for (size_t i = 0; i < stretches->n; i++) {
        size_t n = ff_rows_before(rows, at, edges[i + 1]);
        at += n;
        for (int64_t hour = edges[i]; n == 0 && hour < edges[i + 1]; hour++)
            values[hour] = usual;
    }
    return true;
}

static inline void ff_sum_days(const double *values, size_t n_hours, double *sums) {
    for (size_t first = 0; first < n_hours; first += FF_DAY_HOURS) {
        size_t end = ff_least(first + FF_DAY_HOURS, n_hours);
        double sum = 0;
        for (size_t hour = first; hour < end; hour++) sum += values[hour];
        sums[first / FF_DAY_HOURS] = sum;
    }
}

/* Rates of some days, in order. */
typedef struct ff_window {
    double rates[FF_LEVEL_DAYS];
    size_t n;
} ff_window;

FF_INLINE void ff_window_put(ff_window *window, double rate) {
    size_t at = window->n++;
    for (; at > 0 && window->rates[at - 1] > rate; at--)
        window->rates[at] = window->rates[at - 1];
    window->rates[at] = rate;
}

/* Take a rate out that is there. */
FF_INLINE void ff_window_take(ff_window *window, double rate) {
    size_t at = 0;
    window->n--;
    while (at < window->n && window->rates[at] < rate) at++;
    for (; at < window->n; at++) window->rates[at] = window->rates[at + 1];
}

/* The interquartile mean; 0 of none. */
FF_INLINE double ff_window_middle(const ff_window *window) {
    size_t low = window->n / 4, high = window->n - low;
    double sum = 0;
    for (size_t at = low; at < high; at++) sum += window->rates[at];
    return sum / (double)(high > low ? high - low : 1);
}

/* The level of each day: what an hour of the whole network has on the days before, or,
 * of the first days, on those around. Always of as many days, less those not known. */
static inline void ff_levels(const double *seen, const double *weights, size_t n_days,
                             double *levels) {
    ff_window window = {.n = 0};
    for (size_t day = 1; day < ff_least(n_days, FF_LEVEL_DAYS + 1); day++) {
        if (weights[day] >= FF_LEAST_DAY_HOURS)
            ff_window_put(&window, seen[day] / weights[day]);
    }
    levels[0] = ff_window_middle(&window);
    for (size_t day = 1; day < n_days; day++) {
        size_t gone = day <= FF_LEVEL_DAYS ? day : day - FF_LEVEL_DAYS - 1;
        if (weights[gone] >= FF_LEAST_DAY_HOURS)
            ff_window_take(&window, seen[gone] / weights[gone]);
        if (weights[day - 1] >= FF_LEAST_DAY_HOURS)
            ff_window_put(&window, seen[day - 1] / weights[day - 1]);
        levels[day] = ff_window_middle(&window);
    }
}

/* The hours of a series on one day of UTC. */
typedef struct ff_utc_day {
    size_t begin;
    size_t end;
    size_t hour; /* of the day, at its beginning */
    size_t weekday;
} ff_utc_day;

/* The first day; first_hour: hours since a midnight of weekday 0. */
FF_INLINE ff_utc_day ff_utc_day_first(size_t first_hour, size_t n_hours) {
    size_t hour = first_hour % FF_DAY_HOURS;
    return (ff_utc_day){
        .begin = 0,
        .end = ff_least(FF_DAY_HOURS - hour, n_hours),
        .hour = hour,
        .weekday = first_hour / FF_DAY_HOURS % FF_WEEK_DAYS,
    };
}

FF_INLINE void ff_utc_day_next(ff_utc_day *day, size_t n_hours) {
    day->begin = day->end;
    day->end = ff_least(day->begin + FF_DAY_HOURS, n_hours);
    day->hour = 0;
    day->weekday = (day->weekday + 1) % FF_WEEK_DAYS;
}

/* Factors for each hour of the day, and for each weekday. */
typedef struct ff_rhythm {
    double hours[FF_DAY_HOURS];
    double weekdays[FF_WEEK_DAYS];
} ff_rhythm;

FF_INLINE double ff_rhythm_ratio(double seen, double usual) {
    return (seen + FF_RHYTHM_WEIGHT) / (usual + FF_RHYTHM_WEIGHT);
}

/* The rhythm of counts beside what is usual: hours first, then weekdays on top. */
static inline void ff_rhythm_of(const double *counts, const double *usual,
                                size_t n_hours, size_t first_hour, ff_rhythm *rhythm) {
    double seen_hours[FF_DAY_HOURS] = {0}, usual_hours[FF_DAY_HOURS] = {0};
    double seen_days[FF_WEEK_DAYS] = {0}, usual_days[FF_WEEK_DAYS] = {0};
    ff_utc_day day = ff_utc_day_first(first_hour, n_hours);
    for (; day.begin < n_hours; ff_utc_day_next(&day, n_hours)) {
        for (size_t i = 0; i < day.end - day.begin; i++) {
            seen_hours[day.hour + i] += counts[day.begin + i];
            usual_hours[day.hour + i] += usual[day.begin + i];
        }
    }
    for (size_t i = 0; i < FF_DAY_HOURS; i++)
        rhythm->hours[i] = ff_rhythm_ratio(seen_hours[i], usual_hours[i]);
    day = ff_utc_day_first(first_hour, n_hours);
    for (; day.begin < n_hours; ff_utc_day_next(&day, n_hours)) {
        double seen = 0, expected = 0;
        for (size_t i = 0; i < day.end - day.begin; i++) {
            seen += counts[day.begin + i];
            expected += usual[day.begin + i] * rhythm->hours[day.hour + i];
        }
        seen_days[day.weekday] += seen;
        usual_days[day.weekday] += expected;
    }
    for (size_t i = 0; i < FF_WEEK_DAYS; i++)
        rhythm->weekdays[i] = ff_rhythm_ratio(seen_days[i], usual_days[i]);
}

/* Multiply each hour by its factor. */
static inline void ff_rhythm_apply(const ff_rhythm *rhythm, size_t n_hours,
                                   size_t first_hour, double *values) {
    ff_utc_day day = ff_utc_day_first(first_hour, n_hours);
    for (; day.begin < n_hours; ff_utc_day_next(&day, n_hours)) {
        for (size_t i = 0; i < day.end - day.begin; i++) {
            double factor = rhythm->hours[day.hour + i] * rhythm->weekdays[day.weekday];
            values[day.begin + i] *= factor;
        }
    }
}

/* What series are compared with. */
typedef struct ff_baseline {
    const double *on_air; /* share of the network in each hour; 0 where not known */
    const double *shared; /* the rhythm of all traffic */
    size_t n_hours;
    size_t first_hour; /* see ff_utc_day_first */
    double clump;      /* the least variance over mean */
    double least;      /* no less is expected in an hour of the whole network */
    /* Scratch. */
    double *usual; /* n_hours */
    double *seen_by_day;
    double *weights_by_day;
    double *levels; /* ff_days_of(n_hours) each */
} ff_baseline;

/* No more than four deviations above what is usual, and a clump. */
FF_INLINE double ff_clipped(double count, double usual, double clump) {
    if (FF_LIKELY(count <= usual + clump)) return count;
    double most = usual + 4 * sqrt(clump * usual) + clump;
    return count < most ? count : most;
}

/* What a series is expected to be, and its rhythm times what is on the air: twice a
 * level; between them the rhythm, of counts without what stands out. */
static inline void ff_expect(const ff_baseline *base, const double *counts,
                             double *values, double *weights) {
    size_t n_hours = base->n_hours, n_days = ff_days_of(n_hours);
    ff_rhythm rhythm;
    for (size_t hour = 0; hour < n_hours; hour++)
        weights[hour] = base->on_air[hour] * base->shared[hour];
    ff_sum_days(counts, n_hours, base->seen_by_day);
    ff_sum_days(weights, n_hours, base->weights_by_day);
    ff_levels(base->seen_by_day, base->weights_by_day, n_days, base->levels);
    double *clipped = values; /* until they are known */
    for (size_t hour = 0; hour < n_hours; hour++) {
        double usual = base->levels[hour / FF_DAY_HOURS] * weights[hour];
        base->usual[hour] = usual;
        clipped[hour] = ff_clipped(counts[hour], usual, base->clump);
    }
    ff_rhythm_of(clipped, base->usual, n_hours, base->first_hour, &rhythm);
    ff_rhythm_apply(&rhythm, n_hours, base->first_hour, weights);
    ff_sum_days(weights, n_hours, base->weights_by_day);
    ff_levels(base->seen_by_day, base->weights_by_day, n_days, base->levels);
    for (size_t hour = 0; hour < n_hours; hour++) {
        double value = base->levels[hour / FF_DAY_HOURS] * weights[hour];
        double least = base->least * base->on_air[hour];
        values[hour] = value > least ? value : least;
    }
}

/* What makes a stretch of hours a rise. */
typedef struct ff_rise {
    const int64_t *lengths; /* of stretches, in hours; at least 1 */
    size_t n_lengths;
    double least_factor; /* over what is expected */
    double least;        /* the logarithm of the likelihood ratio is above this */
} ff_rise;

/* The likelihood ratio of Kulldorff's scan statistic. */
FF_INLINE bool ff_rises(const ff_rise *rise, double count, double expected) {
    if (expected < 1e-9) expected = 1e-9;
    double ratio = count / expected;
    return ratio >= rise->least_factor &&
           log(ratio) * count - (count - expected) > rise->least;
}

/* Whether any of the n stretches that begin at `seen` and `usual`, running sums, rises.
 * As log(x) <= x - 1, c log(c / e) - (c - e) <= (c - e)^2 / e: that most do not is
 * found without a logarithm. Signs are collected, since compilers make no vectors of
 * comparisons that could trap. */
FF_INLINE bool ff_any_rises(const ff_rise *rise, const double *seen,
                            const double *usual, size_t length, size_t n) {
    int64_t signs = 0;
    for (size_t i = 0; i < n; i++) {
        double expected = usual[i + length] - usual[i];
        double more = seen[i + length] - seen[i] - expected;
        double missing = rise->least * expected - more * fabs(more);
        int64_t bits;
        memcpy(&bits, &missing, sizeof bits);
        signs |= bits;
    }
    if (FF_LIKELY(signs >= 0)) return false;
    for (size_t i = 0; i < n; i++) {
        if (ff_rises(rise, seen[i + length] - seen[i], usual[i + length] - usual[i]))
            return true;
    }
    return false;
}

/* Whether a series rises anywhere; seen, usual: scratch for n_hours + 1 each. */
static inline bool ff_may_rise(const ff_rise *rise, const double *counts,
                               const double *expected, size_t n_hours, double *seen,
                               double *usual) {
    seen[0] = usual[0] = 0;
    for (size_t hour = 0; hour < n_hours; hour++) {
        seen[hour + 1] = seen[hour] + counts[hour];
        usual[hour + 1] = usual[hour] + expected[hour];
    }
    for (size_t i = 0; i < rise->n_lengths; i++) {
        size_t length = (size_t)rise->lengths[i];
        size_t n = length <= n_hours ? n_hours - length + 1 : 0;
        for (size_t first = 0; first < n; first += FF_STRETCHES_AT_ONCE) {
            size_t n_here = ff_least(n - first, FF_STRETCHES_AT_ONCE);
            if (ff_any_rises(rise, seen + first, usual + first, length, n_here))
                return true;
        }
    }
    return false;
}

#endif

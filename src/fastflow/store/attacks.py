"""The view `attacks`: what the victims' answers in `backscatter` add up to.

Source of the definition: CAIDA, "Randomly and Uniformly Spoofed DoS Attacks" (RSDoS);
Moore et al., "Inferring Internet Denial-of-Service Activity", section 4.
"""

from __future__ import annotations

#: An attack has so many packets, over so long, and so many in some window so long;
#: a victim that is silent for so long is no more under it.
MIN_PACKETS = 25
MIN_SECONDS = 60
MIN_WINDOW_PACKETS = 30
WINDOW_SECONDS = 60
SILENCE_SECONDS = 300

BIN_SECONDS = 10

#: A window lies in two minutes of the clock at most: in one of them, and in its hour, a
#: victim has half its packets.
_MIN_MINUTE_PACKETS = MIN_WINDOW_PACKETS // 2
_BINS_IN_WINDOW = WINDOW_SECONDS // BIN_SECONDS

_VICTIM = "src, ip_version"
_FIELDS = ("src_port", "tcp_seq", "ip_ttl", "tcp_window")


def _shared(name: str) -> str:
    is_one = f"count({name}) = count(*) and min({name}) = max({name})"
    return f"if({is_one}, min({name}), null) as {name}"


#: Times are counted in bins: an attack lasts from the beginning of its first bin to
#: that of its last one, and a victim is silent while bins are empty. Victims with too
#: few packets in every hour, then in every minute, are left out before all else: most
#: are. What stayed the same is of the hours that an attack lies in, and so are the
#: ports: other packets of the victim in these hours may hide it, and never make it up.
ATTACKS = f"""
with hours as (
    select {_VICTIM}, hour from backscatter group by all
    having sum(packets) >= {_MIN_MINUTE_PACKETS}
), minutes as (
    select {_VICTIM}, bin // {_BINS_IN_WINDOW} as minute from (
        select {_VICTIM}, unnest(bins) as bin, unnest(bin_packets) as packets
        from backscatter semi join hours using ({_VICTIM}, hour)
    ) group by all having sum(packets) >= {_MIN_MINUTE_PACKETS}
), victims as (
    select distinct {_VICTIM} from minutes
), rows as (
    select * from backscatter semi join victims using ({_VICTIM})
), counted as (
    select {_VICTIM}, bin, sum(packets)::bigint as packets from (
        select {_VICTIM}, unnest(bins)::bigint as bin,
            unnest(bin_packets) as packets from rows
    ) group by all
), parted as (
    select *, coalesce(bin - lag(bin) over (partition by {_VICTIM} order by bin)
        > {SILENCE_SECONDS // BIN_SECONDS}, true) as begins
    from counted
), numbered as (
    select *, sum(begins::int) over (partition by {_VICTIM} order by bin) as attack
    from parted
), windows as (
    select *, sum(packets) over (partition by {_VICTIM}, attack order by bin
        range between {_BINS_IN_WINDOW - 1} preceding and current row
    )::bigint as in_window
    from numbered
), attacks as (
    select {_VICTIM}, attack, min(bin) as first_bin, max(bin) as last_bin,
        sum(packets)::bigint as packets, max(in_window) as peak
    from windows group by all
    having sum(packets) >= {MIN_PACKETS}
        and (max(bin) - min(bin)) * {BIN_SECONDS} >= {MIN_SECONDS}
        and max(in_window) >= {MIN_WINDOW_PACKETS}
), described as (
    select {_VICTIM}, attack, max(country) as country,
        count(distinct sensor) as sensors,
        {", ".join(map(_shared, _FIELDS))},
        list_slice(list_sort(list_distinct(flatten(list(ports)))), 1, 16) as src_ports
    from attacks join rows using ({_VICTIM})
    where list_bool_or(list_transform(bins, lambda b: b between first_bin and last_bin))
    group by all
)
select src, ip_version, country,
    to_timestamp(first_bin * {BIN_SECONDS}) as start,
    to_timestamp((last_bin + 1) * {BIN_SECONDS}) as "end",
    packets, peak, sensors, src_port, tcp_seq, ip_ttl, tcp_window, src_ports
from attacks join described using ({_VICTIM}, attack)
"""

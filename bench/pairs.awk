# Lines of two figures, measured in turn: their medians, and the median, the lowest and the highest of second to first.
function sort(v, n,    i, j, t)
{
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && v[j - 1] > v[j]; j--) {
            t = v[j]
            v[j] = v[j - 1]
            v[j - 1] = t
        }
}

{
    n++
    first[n] = $1
    second[n] = $2
    ratio[n] = $2 / $1
}

END {
    sort(first, n)
    sort(second, n)
    sort(ratio, n)
    m = int((n + 1) / 2)
    print first[m], second[m], ratio[m], ratio[1], ratio[n]
}

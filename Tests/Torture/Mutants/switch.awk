# Puts the switches of one file's mutants into it: awk -v file=PATH -v places=FILE -f switch.awk
# mutants.txt PATH. A line that is a statement becomes `if mutated(n) { with } else { line }`; what
# cannot be written so has the line with its switch in the list. Appends file, line and name of each
# mutant to `places`; fails when a mutant's line is not where the list says.

function problem(name, text) {
    print name ": " text >"/dev/stderr"
    failed = 1
}

# The line of a source with its switches, when it is a statement.
function statement(text, mutants, count,    i, result) {
    match(text, /^ */)
    result = substr(text, 1, RLENGTH)
    for (i = 1; i <= count; i++) {
        sub(/^ */, "", with[mutants[i]])
        result = result "if mutated(\"" name[mutants[i]] "\") { " with[mutants[i]] " } else "
    }
    sub(/^ */, "", text)
    return result "{ " text " }"
}

# The line of a source with its switches; names of mutants become their places in the list.
function with_switches(text, mutants, count,    i, n, result, call, at) {
    result = ""
    for (i = 1; i <= count; i++) if (switched[mutants[i]] != "") result = switched[mutants[i]]
    if (result == "") result = statement(text, mutants, count)
    for (i = 1; i <= count; i++) {
        n = mutants[i]
        call = "mutated(\"" name[n] "\")"
        if (!index(result, call)) problem(name[n], "its line has no switch")
        while (at = index(result, call))
            result = substr(result, 1, at - 1) "mutated(" n ")" substr(result, at + length(call))
    }
    return result
}

# The number of the line that mutant `n` replaces; 0 when there is none, or more than one.
function place_of(n,    i, found, place, isNear) {
    isNear = near[n] == ""
    for (i = 1; i <= lines; i++) {
        if (source[i] == line[n] && isNear && (near[n] == "" || !found)) {
            found++
            place = i
        }
        if (near[n] != "" && index(source[i], near[n])) isNear = 1
    }
    return found == 1 ? place : 0
}

NR == FNR {
    at = index($0, ": ")
    key = substr($0, 1, at - 1)
    value = substr($0, at + 2)
    if (key == "name") name[++last] = value
    else if (key == "file") isHere[last] = value == file
    else if (key == "line") line[last] = value
    else if (key == "with") with[last] = value
    else if (key == "near") near[last] = value
    else if (key == "switched") switched[last] = value
    next
}

{ source[FNR] = $0; lines = FNR }

END {
    for (n = 1; n <= last; n++) {
        if (!isHere[n]) continue
        place = place_of(n)
        if (!place) problem(name[n], "its line is not in " file ", or more than once")
        there[place] = there[place] " " n
        print file "\t" place "\t" name[n] >>places
    }
    for (i = 1; i <= lines; i++) {
        count = split(there[i], mutants, " ")
        print count ? with_switches(source[i], mutants, count) : source[i]
    }
    exit failed
}

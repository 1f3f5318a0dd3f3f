# An iPhone's own full backup, by holdfast to two encrypted drives and by idevicebackup2 to one plain
# directory, over links of the rates real phones have and over one without a limit. Sourced by run.

# The phone, its cable and both programs' drives are in memory: what is measured is not a medium.
iphone_files=4000
iphone_bytes=2000000000
iphone_links=(40 200 none)
many_files=200000
million_files=1000000
many_bytes=1000000000

start_iphone() {
    memory=$(mktemp -d "$([[ -w /dev/shm ]] && echo /dev/shm || echo "$work")/holdfast-iphone.XXXXXX")
    mkdir -p "$memory"/{a,b,plain}
    local link=()
    [[ $3 == none ]] || link=(--bandwidth "$3")
    "$programs/holdfast-simulator" iphone --dir "$memory/mux" --photos 0 --trust trust --passcode enter \
        --backup-files "$1" --backup-bytes "$2" ${link[@]+"${link[@]}"} \
        </dev/null >"$work/iphone.log" 2>&1 &
    phone=$!
    until grep -q USBMUXD "$work/iphone.log"; do
        kill -0 "$phone" 2>/dev/null || { cat "$work/iphone.log" >&2; exit 1; }
        sleep 0.1
    done
    see_iphone=(env USBMUXD_SOCKET_ADDRESS="UNIX:$memory/mux/usbmuxd" HOLDFAST_CONFIG="$memory/holdfast.yaml")
    "${see_iphone[@]}" idevicepair pair </dev/null >/dev/null
    "${see_iphone[@]}" "$programs/holdfast" setup --state "$memory/state" --drive "$memory/a" \
        --drive "$memory/b" </dev/null >/dev/null 2>&1
}

end_iphone() {
    end_phone
    rm -rf --one-file-system "${memory:?}"
    memory=
}

iphone_ours() {
    measure_holding "$memory" $((iphone_bytes * 22 / 10)) "$1" \
        "${see_iphone[@]}" "$programs/holdfast" backup --capture backup --wait 60
}

iphone_plain() {
    local name=$1
    shift
    measure_holding "$memory" $((iphone_bytes * 11 / 10)) "$name" \
        "${see_iphone[@]}" idevicebackup2 backup "$@" "$memory/plain"
}

iphone_use() {
    "$programs/holdfast-simulator" control "$memory/mux" backup use 1 >/dev/null
}

iphone_run() {
    local link
    for link in "${iphone_links[@]}"; do
        start_iphone "$iphone_files" "$iphone_bytes" "$link"
        iphone_plain "idevicebackup2-$link" --full
        iphone_ours "iphone-$link"
        iphone_use
        iphone_plain "idevicebackup2-next-$link"
        iphone_ours "iphone-next-$link"
        end_iphone
    done
}

# Phones of very many files, for the memory that they take; once is enough.
iphone_many() {
    memory_of "$many_files" iphone-many
    memory_of "$million_files" iphone-million
}

memory_of() {
    start_iphone "$1" "$many_bytes" none
    iphone_ours "$2"
    iphone_use
    iphone_ours "$2-next"
    end_iphone
}

judge_iphone() {
    local link
    for link in "${iphone_links[@]}"; do
        judge "iphone_wall_at_$link" "$(ratio "iphone-$link" "idevicebackup2-$link" 3)"
        judge "iphone_next_wall_at_$link" "$(ratio "iphone-next-$link" "idevicebackup2-next-$link" 3)"
    done
    judge iphone_many_peak_mb "$(megabytes iphone-many 4)"
    judge iphone_many_next_peak_mb "$(megabytes iphone-many-next 4)"
    judge iphone_million_peak_mb "$(megabytes iphone-million 4)"
    judge iphone_million_next_peak_mb "$(megabytes iphone-million-next 4)"
}

import Glibc

/// Makes a worker process harmless to the box: no core files (they would hold a person's data), a
/// bound on memory, few descriptors, and an end when the parent is gone.
func confineWorker(watching descriptor: Int32) {
    limit(RLIMIT_CORE, 0)
    // A sanitizer reserves terabytes before the program starts: no bound fits there.
    if reservedBytes() < 1 << 30 { limit(RLIMIT_AS, 2 << 30) }
    limit(RLIMIT_NOFILE, 256)
    startWatch(descriptor)
}

private func limit(_ resource: __rlimit_resource, _ value: rlim_t) {
    var bounds = rlimit(rlim_cur: value, rlim_max: value)
    // Sound: a local that the call reads. Refused (a lower hard limit is set) means bound already.
    _ = unsafe setrlimit(__rlimit_resource_t(resource.rawValue), &bounds)
}

/// The process's address space, 0 when the kernel does not tell.
private func reservedBytes() -> UInt64 {
    // Sound: the path is lent for the call.
    let file = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return 0 }
    defer { close(file) }
    var text = [UInt8](repeating: 0, count: 64)
    // Sound: the buffer's size is told.
    let count = unsafe read(file, &text, text.count)
    let pages = text.prefix(max(0, count)).prefix { $0 != UInt8(ascii: " ") }
    return (UInt64(String(decoding: pages, as: UTF8.self)) ?? 0)
        * UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
}

/// Ends the process as soon as the parent's end of the socket is closed. A thread of its own,
/// because the one that serves may be blocked in a C library for ever.
private func startWatch(_ descriptor: Int32) {
    var thread = pthread_t()
    // Sound: the number travels as an opaque pointer that nobody follows.
    let argument = unsafe UnsafeMutableRawPointer(bitPattern: Int(descriptor))
    let status = unsafe pthread_create(&thread, nil, watchParent, argument)
    // Without the watch a blocked worker could outlive its parent and keep the phone.
    guard status == 0 else { exit(1) }
    pthread_detach(thread)
}

private func watchParent(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let descriptor = Int32(truncatingIfNeeded: Int(bitPattern: argument))
    var item = pollfd(fd: descriptor, events: 0, revents: 0)
    // No events are asked for: poll returns for a hang-up alone.
    while item.revents & Int16(POLLHUP | POLLERR) == 0 {
        // Sound: one local item.
        _ = unsafe poll(&item, 1, -1)
    }
    _exit(0)
}

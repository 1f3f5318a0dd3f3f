import Glibc

/// A connected stream socket. It closes when the last user lets go, so that a number can never
/// be reused under a thread that still reads from it.
final class StreamSocket: Sendable {
    private let descriptor: Int32

    init(owning descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Ends both directions and wakes whoever reads or writes.
    func end() {
        _ = shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// Whether the other side has closed, seen at once even while nobody reads.
    var peerIsGone: Bool {
        var byte: UInt8 = 0
        // Sound: one byte of a local variable, which the call does not keep.
        let got = unsafe recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT))
        return got == 0
    }

    /// Sends `count` bytes from `start` on; false when the other side is gone.
    func send(_ bytes: [UInt8], from start: Int = 0, count: Int) -> Bool {
        // Sound: the pointer is used within the closure, `end` is at most the buffer's.
        unsafe bytes.withUnsafeBytes { buffer in
            var sent = start
            let end = min(start + count, buffer.count)
            while sent < end {
                let result = unsafe Glibc.send(
                    descriptor, buffer.baseAddress?.advanced(by: sent), end - sent,
                    Int32(MSG_NOSIGNAL))
                if result < 0, errno == EINTR { continue }
                guard result > 0 else { return false }
                sent += result
            }
            return true
        }
    }

    func send(_ bytes: [UInt8]) -> Bool {
        send(bytes, count: bytes.count)
    }

    /// Exactly `count` bytes, or nil when the stream ended before.
    func receive(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        // Sound: the pointer is used within the closure and never past the buffer's end.
        let whole = unsafe bytes.withUnsafeMutableBytes { buffer in
            var got = 0
            while got < count {
                let result = unsafe recv(
                    descriptor, buffer.baseAddress?.advanced(by: got), count - got, 0)
                if result < 0, errno == EINTR { continue }
                guard result > 0 else { return false }
                got += result
            }
            return true
        }
        return whole ? bytes : nil
    }

    /// What has arrived, at most `limit` bytes, waiting for the first one; nil when the stream
    /// has ended.
    func receive(upTo limit: Int) -> [UInt8]? {
        // Sound: recv writes at most `limit` bytes into a buffer of that capacity.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            var result = -1
            repeat {
                result = unsafe recv(descriptor, buffer.baseAddress, limit, 0)
            } while result < 0 && errno == EINTR
            count = max(0, result)
        }
        return bytes.isEmpty ? nil : bytes
    }

    /// Whether bytes, or the stream's end, arrive before the time is over.
    func canReceive(within duration: Duration) -> Bool {
        let (seconds, attoseconds) = duration.components
        let milliseconds = seconds &* 1000 &+ attoseconds / 1_000_000_000_000_000
        var question = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // Sound: poll reads and writes one structure.
        return unsafe poll(&question, 1, Int32(clamping: milliseconds)) > 0
    }

    /// Bytes up to a line feed (not included); at most `limit`. Nil when the stream ended first.
    func receiveLine(limit: Int) -> [UInt8]? {
        var line: [UInt8] = []
        while line.count < limit, let next = receive(1) {
            if next[0] == 0x0A { return line }
            line.append(next[0])
        }
        return nil
    }
}

/// Why a socket could not be opened.
package struct SocketProblem: Error, CustomStringConvertible {
    /// A sentence for the person who started the simulator.
    package let description: String
}

/// A listening socket with its path or port.
final class ListeningSocket: Sendable {
    private let descriptor: Int32
    private let path: String?

    /// Listens on a Unix socket, replacing one left behind at the same path.
    init(path: String) throws(SocketProblem) {
        var address = sockaddr_un()
        let bytes = Array(path.utf8)
        let limit = MemoryLayout.size(ofValue: address.sun_path)
        guard bytes.count < limit else {
            throw SocketProblem(description: "The path \(path) is too long for a Unix socket.")
        }
        address.sun_family = sa_family_t(AF_UNIX)
        // Sound: `bytes` is shorter than the field, checked above; the rest stays zero.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        // Sound: the path lives through the call, here and below.
        unsafe unlink(path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        // Sound: bind reads exactly one sockaddr_un for the length given.
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, listen(descriptor, 64) == 0 else {
            let reason = errno
            close(descriptor)
            throw SocketProblem(description: "Cannot listen on \(path) (error \(reason)).")
        }
        self.descriptor = descriptor
        self.path = path
    }

    /// Listens on a TCP port of the loopback address, for a kernel that attaches the phone.
    init(loopbackPort port: UInt16) throws(SocketProblem) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var yes: Int32 = 1
        // Sound: setsockopt reads one Int32, bind one sockaddr_in, neither keeps the pointer.
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, listen(descriptor, 64) == 0 else {
            let reason = errno
            close(descriptor)
            throw SocketProblem(description: "Cannot listen on port \(port) (error \(reason)).")
        }
        self.descriptor = descriptor
        self.path = nil
    }

    deinit {
        close(descriptor)
    }

    /// The next client, or nil after `end`.
    func accept() -> StreamSocket? {
        while true {
            let client = Glibc.accept(descriptor, nil, nil)
            if client >= 0 {
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                return StreamSocket(owning: client)
            }
            if errno != EINTR, errno != ECONNABORTED { return nil }
        }
    }

    /// Wakes `accept` and removes the socket's path.
    func end() {
        _ = shutdown(descriptor, Int32(SHUT_RDWR))
        // Sound: the path lives through the call.
        if let path { unsafe unlink(path) }
    }
}

extension StreamSocket {
    /// Connects to a Unix socket.
    convenience init(connectingTo path: String) throws(SocketProblem) {
        var address = sockaddr_un()
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SocketProblem(description: "The path \(path) is too long for a Unix socket.")
        }
        address.sun_family = sa_family_t(AF_UNIX)
        // Sound: `bytes` is shorter than the field, checked above.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        // Sound: connect reads exactly one sockaddr_un for the length given.
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            close(descriptor)
            throw SocketProblem(description: "No simulated phone answers at \(path).")
        }
        self.init(owning: descriptor)
    }
}

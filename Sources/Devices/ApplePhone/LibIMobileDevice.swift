import BackupCore
import CLibIMobileDevice
import Glibc

/// The one user of libimobiledevice: it gives phones, sessions with lockdownd and encrypted byte
/// streams. Everything that is spoken over those streams is ours.
///
/// The calls block and wait with `select` (descriptors below 1024: a worker may have 256); a call
/// that never comes back ends with its process.
enum LibIMobileDevice {
    /// How this program names itself to phones.
    fileprivate static let label = "holdfast"
}

/// A phone on USB, by its UDID.
@safe struct MobileDevice: ~Copyable {
    // Sound: the library's pointer from `idevice_new` to `idevice_free`; it never leaves this
    // file, and the struct that owns it cannot be copied.
    fileprivate let device: idevice_t

    /// Finds the phone; `gone` when usbmuxd does not have it. The UDID must have been checked
    /// (see ``MuxClient/udid(_:)``).
    init(udid: String) throws(DeviceError) {
        // A write to a connection that the phone closed must be an error, not the end.
        signal(SIGPIPE, SIG_IGN)
        var device: idevice_t?
        // Sound: the text is lent for the call, which fills the local. USB only: never the network.
        let code = unsafe idevice_new_with_options(&device, udid, IDEVICE_LOOKUP_USBMUX)
        guard code == IDEVICE_E_SUCCESS, let device = unsafe device else {
            throw DeviceError(
                .gone, "The phone is not plugged in any more", nativeCode: Int(code.rawValue))
        }
        unsafe self.device = device
    }

    deinit {
        // Sound: freed once, by its owner.
        _ = unsafe idevice_free(device)
    }

    /// Opens a session as the library does and closes it: pairs when there is no pair record.
    ///
    /// Also what makes the library learn the phone's version, without which its connections offer
    /// nothing newer than TLS 1.0 to any phone.
    func handshake() -> LockdownCode {
        var client: lockdownd_client_t?
        // Sound: the device is alive; on success the client is a local that is freed below.
        let code = unsafe lockdownd_client_new_with_handshake(
            device, &client, LibIMobileDevice.label)
        if let client = unsafe client, code == LOCKDOWN_E_SUCCESS {
            _ = unsafe lockdownd_client_free(client)
        }
        return LockdownCode(rawValue: Int(code.rawValue))
    }

    /// Connects to a service's port and encrypts the connection.
    ///
    /// The library's own `service_client_new` goes on in plain text when encryption fails; here
    /// that is an error.
    func connect(port: UInt16) throws(DeviceError) -> DeviceConnection {
        var connection: idevice_connection_t?
        // Sound: the device is alive; the connection is owned by what is returned.
        let code = unsafe idevice_connect(device, port, &connection)
        guard code == IDEVICE_E_SUCCESS, let connection = unsafe connection else {
            throw DeviceError(
                .gone, "The phone does not take the connection", nativeCode: Int(code.rawValue))
        }
        let opened = unsafe DeviceConnection(connection)
        try opened.encrypt()
        return opened
    }
}

/// A connection to lockdownd, in which a session may be open.
@safe struct LockdownClient: ~Copyable {
    // Sound: as in MobileDevice. The library keeps no pointer to the device in it.
    private let client: lockdownd_client_t

    /// Connects without opening a session: enough to ask for the phone's name and kind.
    init(_ device: borrowing MobileDevice) throws(DeviceError) {
        var client: lockdownd_client_t?
        // Sound: the device is alive and the client a local that the call fills.
        let code = unsafe lockdownd_client_new(device.device, &client, LibIMobileDevice.label)
        guard code == LOCKDOWN_E_SUCCESS, let client = unsafe client else {
            throw LockdownCode(rawValue: Int(code.rawValue)).openingError(hadRecord: false)
        }
        unsafe self.client = client
    }

    deinit {
        // Sound: freed once, by its owner. It also ends the session politely.
        _ = unsafe lockdownd_client_free(client)
    }

    /// Opens the session of a pair record's host. `isEncrypted` false means that the phone
    /// announced a session in plain text: the caller must not go on.
    func startSession(hostID: String) -> (code: LockdownCode, isEncrypted: Bool) {
        var isEncrypted: Int32 = 0
        // Sound: the text is lent for the call; no session id is asked for.
        let code = unsafe lockdownd_start_session(client, hostID, nil, &isEncrypted)
        return (LockdownCode(rawValue: Int(code.rawValue)), isEncrypted != 0)
    }

    /// What kind of daemon answers: `com.apple.mobile.lockdown` on a phone that runs.
    func daemon() -> String? {
        // Sound: a local that the call fills with text the C library allocated.
        var text: UnsafeMutablePointer<CChar>?
        guard unsafe lockdownd_query_type(client, &text) == LOCKDOWN_E_SUCCESS,
            let text = unsafe text
        else { return nil }
        defer { unsafe free(text) }
        return unsafe String(cString: text)
    }

    /// A value, or why there is none.
    func value(
        domain: String?, key: String?
    ) throws(DeviceError) -> (code: LockdownCode, value: PropertyList?) {
        var node: plist_t?
        // Sound: the texts are lent for the call; the node is freed below.
        let code = unsafe lockdownd_get_value(client, domain, key, &node)
        guard code == LOCKDOWN_E_SUCCESS, let node = unsafe node else {
            return (LockdownCode(rawValue: Int(code.rawValue)), nil)
        }
        defer { unsafe plist_free(node) }
        return (.success, try unsafe read(node))
    }

    /// Sets a value.
    func setValue(_ value: PropertyList, domain: String?, key: String) -> LockdownCode {
        let bytes = value.encodeBinary()
        var node: plist_t?
        // Sound: the array lends its bytes and their count; the call below takes the node over.
        unsafe bytes.withUnsafeBufferPointer { buffer in
            unsafe buffer.withMemoryRebound(to: CChar.self) {
                unsafe plist_from_bin($0.baseAddress, UInt32(buffer.count), &node)
            }
        }
        let code = unsafe lockdownd_set_value(client, domain, key, node)
        return LockdownCode(rawValue: Int(code.rawValue))
    }

    /// Starts a service and gives its port.
    func startService(
        _ name: String, withEscrowBag: Bool
    ) -> (code: LockdownCode, port: UInt16, isEncrypted: Bool) {
        var service: lockdownd_service_descriptor_t?
        // Sound: the text is lent for the call; the descriptor it makes is freed below.
        let code =
            unsafe withEscrowBag
            ? lockdownd_start_service_with_escrow_bag(client, name, &service)
            : lockdownd_start_service(client, name, &service)
        guard code == LOCKDOWN_E_SUCCESS, let service = unsafe service else {
            return (LockdownCode(rawValue: Int(code.rawValue)), 0, false)
        }
        defer { _ = unsafe lockdownd_service_descriptor_free(service) }
        return (.success, unsafe service.pointee.port, unsafe service.pointee.ssl_enabled != 0)
    }

    private func read(_ node: plist_t) throws(DeviceError) -> PropertyList {
        var bytes: UnsafeMutablePointer<CChar>?
        var count: UInt32 = 0
        // Sound: the call makes a copy of its own, of `count` bytes, which is freed below.
        unsafe plist_to_bin(node, &bytes, &count)
        guard let bytes = unsafe bytes else {
            throw .propertyListDamaged("that cannot be read")
        }
        defer { unsafe plist_to_bin_free(bytes) }
        let copy = unsafe UnsafeRawBufferPointer(start: bytes, count: Int(count))
        return try PropertyList.decode(
            unsafe Array(copy), limits: PropertyList.Limits(bytes: 4 << 20, elements: 50_000))
    }
}

/// An encrypted connection to one service.
@safe final class DeviceConnection: ServiceConnection {
    /// Bytes asked for at once: within it the library starts its time anew with each record.
    private static let readChunk = 64 << 10
    /// One TLS record. A socket that is writable has room for it, so a call never blocks.
    private static let writeChunk = 16 << 10

    // Sound: the library's pointer until `close`, which gives it back once and forgets it.
    private var connection: idevice_connection_t?
    private var failure: DeviceError?
    /// A byte that was taken to see whether there is one.
    private var peeked: UInt8?

    fileprivate init(_ connection: idevice_connection_t) { unsafe self.connection = connection }

    deinit { close() }

    /// Encrypts. The socket is made blocking meanwhile: on one that does not block the library
    /// sleeps 100 ms between any two steps of the handshake.
    fileprivate func encrypt() throws(DeviceError) {
        let connection = try unsafe open()
        var descriptor: Int32 = -1
        // Sound: a local that the call fills.
        _ = unsafe idevice_connection_get_fd(connection, &descriptor)
        let flags = fcntl(descriptor, F_GETFL)
        if flags >= 0 { _ = fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK) }
        let code = unsafe idevice_connection_enable_ssl(connection)
        if flags >= 0 { _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) }
        guard code == IDEVICE_E_SUCCESS else {
            throw end(
                DeviceError(
                    .gone, "The connection to the phone could not be encrypted",
                    nativeCode: Int(code.rawValue)))
        }
    }

    package func read(_ count: Int, within limit: Duration) throws(DeviceError) -> [UInt8] {
        let deadline = ContinuousClock.now + limit
        guard count > 0 else { return [] }
        var code = IDEVICE_E_SUCCESS
        let connection = try unsafe open()
        let first = peeked.take()
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            if let first {
                unsafe buffer[0] = first
                filled = 1
            }
            while filled < count, code == IDEVICE_E_SUCCESS {
                let wanted = min(count - filled, Self.readChunk)
                var got: UInt32 = 0
                code = unsafe buffer.withMemoryRebound(to: CChar.self) { chars in
                    // Sound: writes stay between `filled` and the buffer's capacity `count`.
                    unsafe idevice_connection_receive_timeout(
                        connection, chars.baseAddress?.advanced(by: filled), UInt32(wanted), &got,
                        Self.milliseconds(until: deadline))
                }
                if code == IDEVICE_E_SUCCESS { filled += min(Int(got), wanted) }
                if got == 0, code == IDEVICE_E_SUCCESS { code = IDEVICE_E_NOT_ENOUGH_DATA }
            }
        }
        guard code == IDEVICE_E_SUCCESS else { throw broken(code) }
        return bytes
    }

    package func write(_ bytes: [UInt8], within limit: Duration) throws(DeviceError) {
        let deadline = ContinuousClock.now + limit
        let connection = try unsafe open()
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Self.writeChunk)
            guard isWritable(until: deadline) else { throw broken(IDEVICE_E_TIMEOUT) }
            var sent: UInt32 = 0
            // Sound: the slice lends its bytes and their count for the call.
            let code = unsafe piece.withUnsafeBytes { buffer in
                unsafe buffer.withMemoryRebound(to: CChar.self) {
                    unsafe idevice_connection_send(
                        connection, $0.baseAddress, UInt32(buffer.count), &sent)
                }
            }
            guard code == IDEVICE_E_SUCCESS, Int(sent) == piece.count else { throw broken(code) }
            rest = rest.dropFirst(piece.count)
        }
    }

    package func hasInput(within limit: Duration) throws(DeviceError) -> Bool {
        guard peeked == nil else { return true }
        let connection = try unsafe open()
        var byte: CChar = 0
        var got: UInt32 = 0
        // Sound: one byte of a local. A time that runs out loses nothing: no byte was taken.
        let code = unsafe idevice_connection_receive_timeout(
            connection, &byte, 1, &got, Self.milliseconds(until: ContinuousClock.now + limit))
        if code == IDEVICE_E_TIMEOUT { return false }
        guard code == IDEVICE_E_SUCCESS, got == 1 else { throw broken(code) }
        peeked = UInt8(bitPattern: byte)
        return true
    }

    package func close() {
        guard let connection = unsafe connection.take() else { return }
        failure = failure ?? DeviceError(.cancelled, "The connection to the phone is closed")
        // Sound: the pointer is given back once.
        _ = unsafe idevice_disconnect(connection)
    }

    private func open() throws(DeviceError) -> idevice_connection_t {
        if let failure { throw failure }
        guard let connection = unsafe connection else {
            throw DeviceError(.cancelled, "The connection to the phone is closed")
        }
        return unsafe connection
    }

    /// Ends the connection with an error that all later calls throw too.
    private func end(_ error: DeviceError) -> DeviceError {
        failure = error
        close()
        return error
    }

    private func broken(_ code: idevice_error_t) -> DeviceError {
        let native = Int(code.rawValue)
        if code == IDEVICE_E_TIMEOUT {
            return end(
                DeviceError(.timedOut, "The phone did not answer in time", nativeCode: native))
        }
        return end(DeviceError(.gone, "The phone ended the connection", nativeCode: native))
    }

    /// Whether the socket takes more before the time is over.
    private func isWritable(until deadline: ContinuousClock.Instant) -> Bool {
        var descriptor: Int32 = -1
        // Sound: locals that the calls fill.
        guard let connection = unsafe connection,
            unsafe idevice_connection_get_fd(connection, &descriptor) == IDEVICE_E_SUCCESS
        else { return false }
        var item = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        while true {
            let ready = unsafe poll(&item, 1, Int32(clamping: Self.milliseconds(until: deadline)))
            if ready >= 0 || errno != EINTR { return ready > 0 }
        }
    }

    /// At least 1: the library takes 0 for "without an end".
    private static func milliseconds(until deadline: ContinuousClock.Instant) -> UInt32 {
        let left = (deadline - ContinuousClock.now) / .milliseconds(1)
        return UInt32(min(max(left.rounded(.up), 1), 86_400_000))
    }
}

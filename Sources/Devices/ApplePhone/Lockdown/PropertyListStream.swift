package import BackupCore

/// Property lists over a service's connection, each behind its length in 4 bytes, big endian: how
/// notification_proxy, installation_proxy and most other services speak.
package final class PropertyListStream {
    private let connection: any ServiceConnection
    private let limits: PropertyList.Limits

    /// Lists over `connection`, which ``close()`` ends.
    package init(
        _ connection: any ServiceConnection, limits: PropertyList.Limits = PropertyList.Limits()
    ) {
        self.connection = connection
        self.limits = limits
    }

    /// Sends a list in the binary form.
    package func send(_ list: PropertyList, within limit: Duration) throws(DeviceError) {
        let body = list.encodeBinary()
        let length = UInt32(clamping: body.count)
        let header = (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * $0)) }
        try connection.write(header + body, within: limit)
    }

    /// The next list. A length beyond the limits is `limitExceeded`, before anything of it is
    /// read.
    package func receive(within limit: Duration) throws(DeviceError) -> PropertyList {
        let header = try connection.read(4, within: limit)
        let length = header.reduce(0) { $0 << 8 | Int($1) }
        guard length <= limits.bytes else { throw .propertyListTooLarge("bytes") }
        return try PropertyList.decode(
            try connection.read(length, within: limit), limits: limits)
    }

    /// Whether something comes within the time.
    package func hasInput(within limit: Duration) throws(DeviceError) -> Bool {
        try connection.hasInput(within: limit)
    }

    /// Ends the connection.
    package func close() { connection.close() }
}

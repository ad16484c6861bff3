"""placeholder"""


class FakeQueue: ...
